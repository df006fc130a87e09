"""How a route reaches the service."""

from typing import Annotated

from fastapi import Depends, Request

from orchestrator.service.services import House


async def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]
