"""Dependency that hands a route the services."""

from typing import Annotated

from fastapi import Depends, Request

from orchestrator.service.services import Services


async def _get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_get_services)]
