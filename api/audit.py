"""Record every request that changes something in the audit log."""

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import Any

from fastapi import Request

from api.access import ADMITTED_KEY, identify_caller
from orchestrator.errors import OrchestratorError
from orchestrator.service.services import Services
from orchestrator.store.audit import AuditEntry

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
_noted: ContextVar[dict[str, Any]] = ContextVar("orchestrator_audit_details")


def is_recorded(operation: str | None, methods: Collection[str]) -> bool:
    """Return whether the requests of a route are recorded: all that may change something."""
    return operation is not None and operation not in UNRECORDED and not set(methods) <= set(READING_METHODS)


def begin_notes() -> dict[str, Any]:
    """Begin to collect what the route notes about its change."""
    notes: dict[str, Any] = {}
    _noted.set(notes)
    return notes


def note_change(**details: Any) -> None:
    """Add details to the audit entry of this request; `target` and `customer_id` say what it changes and whose that is.

    Details are IDs, versions and reasons, never inputs or definitions, which may hold what only a few may read.
    """
    _noted.get({}).update({name: value for name, value in details.items() if value not in (None, "")})


async def record_change(request: Request, operation: str, notes: dict[str, Any]) -> None:
    """Record the change that a request has made."""
    services: Services = request.app.state.services
    caller = identify_caller(request.scope[ADMITTED_KEY], request.query_params.get("customer_id"))
    named = [request.path_params[name] for name in TARGETS if name in request.path_params]
    target = str(notes.pop("target", "") or (named[0] if named else ""))
    owner = notes.pop("customer_id", None) or caller.customer_id
    if owner is None and "run_id" in request.path_params:
        owner = await _find_owner(services, target)
    await services.audit_writer.record(
        AuditEntry(
            actor=caller.name,
            key_id=None if caller.key is None else caller.key.id,
            customer_id=owner or "",
            operation=operation,
            target=target,
            source="" if request.client is None else request.client.host,
            details=notes,
        )
    )


async def _find_owner(services: Services, run_id: str) -> str | None:
    """Return the customer of a run; `None` where it is gone or Temporal does not answer now."""
    try:
        return await services.operations.find_owner(run_id)
    except OrchestratorError:
        return None
