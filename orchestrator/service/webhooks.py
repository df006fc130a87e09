"""Webhooks: HTTP requests that start a run, or resume one that waits.

Every request is recorded with its outcome, except for floods of refused ones. Credentials are never stored.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from activities.secrets import SecretSource
from orchestrator.errors import ExpressionError, OperationRefused, OrchestratorError, RunNotFound
from orchestrator.model.run import Run
from orchestrator.planner.trigger_checks import MAX_ANSWER_SECONDS
from orchestrator.service.events import Events, require_acceptable_size, start_for
from orchestrator.service.runs import Operations
from orchestrator.service.signatures import check_signature, find_signing_secret, get_signature_header
from orchestrator.service.webhook_request import MethodNotAllowed, WebhookRequest, build_trigger_data, render_field
from orchestrator.store.deliveries import FAILED, REJECTED, RESUMED, STARTED, Deliveries, Delivery, Start
from orchestrator.store.records import ACTIVE, REMOVED, TriggerRow
from orchestrator.store.triggers import Triggers
from orchestrator.store.workflows import WorkflowNotFound

KIND = "webhook"
TIMEOUT_SECONDS = 30.0
MAX_KEY = 255
LARGE_BYTES = 100_000
"""Size from which a body is parsed in a thread."""
MAX_RUN_ID = 500
MAX_REJECTED = 100
"""Refused requests that are kept of each webhook, the newest: strangers must not fill the ledger."""


class ResumeFailed(OrchestratorError):
    """The run that the request resumes cannot be determined."""

    code = "resume_failed"


class Gate(Protocol):
    """What only the HTTP layer knows about the caller of a webhook."""

    async def require_local(self) -> None:
        """Raise where the caller may not use a webhook without a secret."""
        ...

    async def count(self, bucket: str) -> None:
        """Count a request against a rate limit; raises TooManyRequests."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request."""

    delivery: Delivery
    run: Run | None = None
    """The run that has ended, where the webhook responds with its output."""


class Webhooks:
    """The webhooks of all customers."""

    def __init__(
        self, triggers: Triggers, deliveries: Deliveries, events: Events, operations: Operations, secrets: SecretSource
    ) -> None:
        self.triggers = triggers
        self.deliveries = deliveries
        self.events = events
        self.operations = operations
        self.secrets = secrets

    async def handle(self, request: WebhookRequest, gate: Gate) -> Answer:
        """Start the run of a webhook, or resume one; raises why a request is refused, after recording it.

        Raises WorkflowNotFound, MethodNotAllowed, SignatureRefused, SecretMissing, BodyUnreadable, TooLarge,
        OperationRefused, RunNotFound and what the gate raises.
        """
        row = await self._find(request.customer_id, request.path)
        if not row.config.get("secret"):
            await gate.require_local()
        try:
            await self._admit(row, request)
        except OrchestratorError as error:
            # Counted apart: strangers neither use up the customer's limit nor fill the ledger.
            await gate.count(f"refused:{request.customer_id}")
            await self._reject(row, request, error)
            await self.deliveries.prune_rejected(row.customer_id, row.path or "", MAX_REJECTED)
            raise
        await gate.count(f"webhooks:{request.customer_id}")
        return await self._receive(row, request)

    async def _find(self, customer_id: str, path: str) -> TriggerRow:
        row = await self.triggers.find_webhook(customer_id, path)
        if row is None or row.kind != KIND or row.wanted == REMOVED:
            raise WorkflowNotFound("there is no webhook at this address")
        return row

    async def _admit(self, row: TriggerRow, request: WebhookRequest) -> None:
        """Raise where the caller may not start a run; nothing of the request has been parsed so far."""
        methods = row.config.get("methods") or ["POST"]
        allowed = [str(each).upper() for each in (methods if isinstance(methods, list) else [methods])]
        if request.method not in allowed:
            raise MethodNotAllowed(request.method, allowed)
        if row.config.get("secret"):
            secret = await find_signing_secret(row.config["secret"], row.customer_id, self.secrets)
            check_signature(row.config, request, secret)

    async def _reject(self, row: TriggerRow, request: WebhookRequest, error: OrchestratorError) -> None:
        """Record why a request was refused, without anything that a stranger could fill the ledger with."""
        received = {"method": request.method, "path": request.path}
        await self.deliveries.accept(_new_delivery(row, received, outcome=REJECTED, reason=str(error)), None)

    async def _receive(self, row: TriggerRow, request: WebhookRequest) -> Answer:
        try:
            if row.wanted != ACTIVE:
                raise OperationRefused("the workflow of this webhook is paused")
            key = _get_key(row, request)
            large = len(request.raw) > LARGE_BYTES
            received = (
                await asyncio.to_thread(build_trigger_data, request, row.config)
                if large
                else build_trigger_data(request, row.config)
            )
            require_acceptable_size(received)
            start = await self._plan_start(row, received)
        except OrchestratorError as error:
            await self._reject(row, request, error)
            raise
        delivery = await self.deliveries.accept(
            _new_delivery(row, received, key=key, starts=(start,)), None if key is None else f"{KIND}:{row.path}:{key}"
        )
        delivery = await self.events.deliver(delivery)
        start = delivery.starts[0]
        if start.state == FAILED:
            await self.deliveries.release_slot(delivery.duplicate_of or delivery.id)  # the sender may try again
            raise OperationRefused(start.reason or "the run could not be started")
        if row.config.get("respond") != "output" or start.state not in (STARTED, RESUMED):
            return Answer(delivery)
        return Answer(delivery, await self._wait_for_run(start.run_id, row))

    async def _plan_start(self, row: TriggerRow, received: Mapping[str, Any]) -> Start:
        """Return the start of a new run, or of the run that is resumed; raises TooCostly and Busy."""
        resume = row.config.get("resume")
        if not isinstance(resume, Mapping) or not resume.get("run_id"):
            return start_for(row)
        try:
            run_id, event = await self.events.plans.call(row.customer_id, render_resume, resume, received)
        except ExpressionError as error:
            raise ResumeFailed(f"the template of `resume` cannot be evaluated for this request: {error}") from error
        if not run_id:
            return start_for(row)
        if len(run_id) > MAX_RUN_ID or not run_id.isprintable():
            raise RunNotFound("resume.run_id is not the id of a run")
        return Start(row.workflow_id, row.version, run_id, input_data={"event": event})

    async def _wait_for_run(self, run_id: str, row: TriggerRow) -> Run | None:
        """Wait for the end of a run, up to the timeout of its webhook."""
        timeout = float(row.config.get("timeout_seconds") or TIMEOUT_SECONDS)
        return await self.operations.wait_for_end(run_id, min(timeout, MAX_ANSWER_SECONDS))


def _get_key(row: TriggerRow, request: WebhookRequest) -> str | None:
    """Return the idempotency key of a request: that of its sender, or one made of its signature."""
    name = row.config.get("idempotency_header")
    key = request.get_header(str(name)) if name else None
    if key is not None and len(key) > MAX_KEY:
        raise OperationRefused(f"the header {name} is longer than {MAX_KEY} characters")
    if not key and row.config.get("secret"):
        # A request that somebody has recorded starts nothing when it is sent again.
        signature = request.get_header(get_signature_header(row.config)) or ""
        return f"signature:{sha256(signature.encode()).hexdigest()}"
    return key or None


def render_resume(resume: Mapping[str, Any], received: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ID of the run that a request resumes, empty for a new run, and the name of its event."""
    context = {**received, "trigger": received}
    run_id = render_field(resume.get("run_id") or "", context).strip()
    return run_id, render_field(resume.get("event") or "", context) if run_id else ""


def _new_delivery(row: TriggerRow, received: Mapping[str, Any], **more: Any) -> Delivery:
    return Delivery.new(KIND, row.customer_id, row.path or "", dict(received), **more)
