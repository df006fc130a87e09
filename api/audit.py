"""Record every request that changes something in the audit log."""

import asyncio
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import Any

from fastapi import Request

from api.access import ADMITTED_KEY, identify_caller
from orchestrator.errors import OrchestratorError
from orchestrator.service.services import Services
from orchestrator.store.audit import AuditEntry
from orchestrator.temporal.client.runs import PreparedRun

READING_METHODS = ("GET", "HEAD", "OPTIONS")
UNRECORDED: Mapping[str, str] = {
    "decodePayloads": "reads",
    "evaluateCondition": "computes",
    "layOutDefinition": "computes",
    "listVariables": "computes",
    "regressWorkflow": "computes",
    "simulateWorkflow": "computes",
    "validateWorkflow": "computes",
    "validateWorkflows": "computes",
}
"""Operations of other methods that change nothing, and why. Webhooks have no key: see the list of deliveries."""
TARGETS = ("run_id", "key_id", "delivery_id", "workflow_id")
"""Path parameters that name what a request changes."""
COLUMNS = ("target", "customer_id")
"""Details that have a field of their own in an entry."""
INTERNAL = "internal"
"""Code of an error that has none."""
_change: ContextVar["Change"] = ContextVar("orchestrator_change")


def is_recorded(operation: str | None, methods: Collection[str]) -> bool:
    """Return whether the requests of a route are recorded: all that may change something."""
    return operation is not None and operation not in UNRECORDED and not set(methods) <= set(READING_METHODS)


class Change:
    """What one request changes, and its entry in the audit log."""

    def __init__(self, request: Request, operation: str) -> None:
        self._request = request
        self._services: Services = request.app.state.services
        self._operation = operation
        self._writing: asyncio.Task[None] | None = None
        """Writes the entry of a change that is being made."""
        self.details: dict[str, Any] = {}

    def begin_recording(self) -> None:
        """Begin to write the entry while the change is made: a transaction waits for the disk."""
        self._writing = asyncio.create_task(self._write(self.details))

    async def record(self) -> None:
        """Record the change, which has been made."""
        await (self._writing or self._write(self.details))

    async def record_failure(self, error: Exception) -> None:
        """Record that a change whose entry is there already may not have been made."""
        if self._writing is not None:
            await self._writing
            code = error.code if isinstance(error, OrchestratorError) else INTERNAL
            await self._write({**self.details, "error": code})

    async def _write(self, details: Mapping[str, Any]) -> None:
        request = self._request
        caller = identify_caller(request.scope[ADMITTED_KEY], request.query_params.get("customer_id"))
        named = [request.path_params[name] for name in TARGETS if name in request.path_params]
        target = str(details.get("target") or (named[0] if named else details.get("run_id", "")))
        owner = details.get("customer_id") or caller.customer_id
        if owner is None and "run_id" in request.path_params:
            owner = await _find_owner(self._services, target)
        await self._services.audit_writer.record(
            AuditEntry(
                actor=caller.name,
                key_id=None if caller.key is None else caller.key.id,
                customer_id=owner or "",
                operation=self._operation,
                target=target,
                source="" if request.client is None else request.client.host,
                details={name: value for name, value in details.items() if name not in COLUMNS},
            )
        )


def begin_change(request: Request, operation: str) -> Change:
    """Begin to collect what the route notes about its change."""
    change = Change(request, operation)
    _change.set(change)
    return change


def note_change(**details: Any) -> None:
    """Add details to the audit entry of this request; `target` and `customer_id` say what it changes and whose that is.

    Details are IDs, versions and reasons, never inputs or definitions, which may hold what only a few may read.
    """
    change = _change.get(None)
    if change is not None:
        change.details.update({name: value for name, value in details.items() if value not in (None, "")})


def record_start(run: PreparedRun) -> None:
    """Begin to record a run that is about to start."""
    note_change(run_id=run.info.id, customer_id=run.plan.customer_id)
    _change.get().begin_recording()


async def _find_owner(services: Services, run_id: str) -> str | None:
    """Return the customer of a run; `None` where it is gone or Temporal does not answer now."""
    try:
        return await services.operations.find_owner(run_id)
    except OrchestratorError:
        return None
