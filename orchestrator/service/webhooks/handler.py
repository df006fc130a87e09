"""Webhooks: HTTP requests that start a run, or resume one that waits.

Every request is recorded with its outcome, except for floods of refused ones. Credentials are never stored.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol

from activities.secrets import SecretSource
from orchestrator.errors import ExpressionError, OperationRefused, OrchestratorError, RunNotFound
from orchestrator.model.run import Run
from orchestrator.model.webhook_schemes import resolve_scheme
from orchestrator.planner.webhook_checks import MAX_ANSWER_SECONDS
from orchestrator.service.events import Events
from orchestrator.service.runs import Operations
from orchestrator.service.subscribers import start_for
from orchestrator.service.webhooks.body import decode_query
from orchestrator.service.webhooks.request import MethodNotAllowed, WebhookRequest, build_trigger_data, render_field
from orchestrator.service.webhooks.responses import (
    WebhookAnswer,
    list_run_names,
    render_output,
    render_respond,
    require_completed,
)
from orchestrator.service.webhooks.signatures import find_signing_keys, verify_request
from orchestrator.store.deliveries import FAILED, REJECTED, RESUMED, STARTED, Deliveries, Delivery, Start
from orchestrator.store.records import REMOVED, TriggerRow
from orchestrator.store.triggers import Triggers
from orchestrator.store.workflows import WorkflowNotFound

KIND = "webhook"
TIMEOUT_SECONDS = 30.0
MAX_KEY = 255
MAX_RUN_ID = 500
MAX_REJECTED = 100
"""Refused requests that are kept of each webhook, the newest: strangers must not fill the ledger."""


class ResumeFailed(OrchestratorError):
    """The run that the request resumes cannot be determined."""

    code = "resume_failed"


class KeyUnreadable(OrchestratorError):
    """The idempotency key of the request cannot be determined."""

    code = "key_unreadable"


class Gate(Protocol):
    """What only the HTTP layer knows about a request to a webhook."""

    @property
    def max_body_bytes(self) -> int:
        """Return the limit of this server for a body."""
        ...

    async def require_local(self) -> None:
        """Raise where the caller may not use a webhook without a secret."""
        ...

    async def count(self, bucket: str) -> None:
        """Count a request against a rate limit; raises TooManyRequests."""
        ...

    async def read_body(self, limit: int) -> bytes:
        """Return the body; raises BodyTooLarge."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request."""

    delivery: Delivery
    response: WebhookAnswer | None = None
    """What the webhook's `respond` makes of it; None is that the request has been accepted."""


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

        The body is read here, within the limit of the webhook. Raises WorkflowNotFound, MethodNotAllowed,
        SignatureRefused, SecretMissing, BodyUnreadable, CodingUnsupported, BodyTooLarge, TooLarge, OperationRefused,
        RunNotFound, RunFailed, RespondFailed and what the gate raises.
        """
        row = await self._find(request.customer_id, request.path)
        if not row.config.get("secret"):
            await gate.require_local()
        try:
            admitted = await self._admit(row, request, gate)
        except OrchestratorError as error:
            # Counted apart: strangers neither use up the customer's limit nor fill the ledger.
            await gate.count(f"refused:{request.customer_id}")
            await self._reject(row, request, error)
            await self.deliveries.prune_rejected(row.customer_id, row.path or "", MAX_REJECTED)
            raise
        await gate.count(f"webhooks:{request.customer_id}")
        return await self._receive(row, admitted)

    async def _find(self, customer_id: str, path: str) -> TriggerRow:
        row = await self.triggers.find_webhook(customer_id, path)
        if row is None or row.kind != KIND or row.wanted == REMOVED:
            raise WorkflowNotFound("there is no webhook at this address")
        return row

    async def _admit(self, row: TriggerRow, request: WebhookRequest, gate: Gate) -> "_Admitted":
        """Return a request with its body; raises where the caller may not start a run.

        Nothing of the request has been parsed so far.
        """
        methods = row.config.get("methods") or ["POST"]
        allowed = [str(each).upper() for each in (methods if isinstance(methods, list) else [methods])]
        if request.method not in allowed:
            raise MethodNotAllowed(request.method, allowed)
        limit = min(int(row.config.get("max_body_bytes") or gate.max_body_bytes), gate.max_body_bytes)
        request = replace(request, raw=await gate.read_body(limit), max_bytes=limit)
        if not row.config.get("secret"):
            return _Admitted(request)
        keys = await find_signing_keys(row.config, row.customer_id, self.secrets)
        return _Admitted(request, verify_request(row.config, request, keys, datetime.now(UTC)))

    async def _reject(self, row: TriggerRow, request: WebhookRequest, error: OrchestratorError) -> None:
        """Record why a request was refused, without anything that a stranger could fill the ledger with."""
        received = {"method": request.method, "path": request.path}
        await self.deliveries.accept(_new_delivery(row, received, outcome=REJECTED, reason=str(error)), None)

    async def _receive(self, row: TriggerRow, admitted: "_Admitted") -> Answer:
        request = admitted.request
        try:
            key = _get_key(row, admitted)
            received = (
                await asyncio.to_thread(build_trigger_data, request, row.config)
                if request.is_costly
                else build_trigger_data(request, row.config)
            )
            self.events.require_acceptable_size(received)
            key = await self._render_key(row, received) or key
            asked = await self.events.subscribers.ask_about_request(
                row, await self._plan_start(row, received), received
            )
            delivery = await self.deliveries.accept(
                _new_delivery(
                    row,
                    received,
                    key=key,
                    content=_digest_request(request),
                    starts=asked.starts,
                    asked=asked.answers,
                    reason=asked.reason,
                ),
                None if key is None else f"{KIND}:{row.path}:{key}",
            )
        except OrchestratorError as error:
            await self._reject(row, request, error)
            raise
        delivery = await self.events.deliver(delivery)
        start = delivery.starts[0] if delivery.starts else None
        if start is not None and start.state == FAILED:
            await self.deliveries.release_slot(delivery.duplicate_of or delivery.id)  # the sender may try again
            raise OperationRefused(start.reason or "the run could not be started")
        return Answer(delivery, await self._respond(row, request, received, start))

    async def _respond(
        self, row: TriggerRow, request: WebhookRequest, received: Mapping[str, Any], start: Start | None
    ) -> WebhookAnswer | None:
        """Return the response of the webhook's `respond`; None where the run it waits for has not ended in time."""
        respond = row.config.get("respond")
        names = list_run_names(respond)
        run: Run | None = None
        if names:
            if start is None or start.state not in (STARTED, RESUMED):
                return None
            run = await self._wait_for_run(start.run_id, row)
            if run is None:
                return None
            require_completed(run, names)
        if not isinstance(respond, Mapping):
            return None if run is None else render_output(run.output)
        # The query is whole: the sender gets back what it has sent, and nothing is stored.
        query = decode_query(request.query_string, row.config.get("charset"))
        outcome = {"output": run.output, "status": run.status, "error": run.failure} if run else {}
        context = {**outcome, "trigger": {**received, "query": query}}
        return await self.events.plans.call(row.customer_id, render_respond, respond, context)

    async def _render_key(self, row: TriggerRow, received: Mapping[str, Any]) -> str | None:
        """Return the idempotency key that a template finds in the request; raises TooCostly and Busy."""
        template = row.config.get("idempotency_key")
        if not template:
            return None
        try:
            key = await self.events.plans.call(row.customer_id, render_key, template, received)
        except ExpressionError as error:
            raise KeyUnreadable(f"`idempotency_key` cannot be evaluated for this request: {error}") from error
        if len(key) > MAX_KEY or not key.isprintable():
            raise KeyUnreadable(f"`idempotency_key` is longer than {MAX_KEY} characters, or not printable")
        return key or None

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


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A request whose sender may start a run."""

    request: WebhookRequest
    digest: str | None = None
    """Of what its sender has signed."""


def _get_key(row: TriggerRow, admitted: _Admitted) -> str | None:
    """Return the idempotency key of a request: that of its sender, or one made of what is signed."""
    name = resolve_scheme(row.config).idempotency_header
    key = admitted.request.get_header(name) if name else None
    if key is not None and len(key) > MAX_KEY:
        raise OperationRefused(f"the header {name} is longer than {MAX_KEY} characters")
    if not key and admitted.digest is not None:
        # A recorded request starts nothing when it is sent again.
        return f"signed:{admitted.digest}"
    return key or None


def _digest_request(request: WebhookRequest) -> str:
    """Return the digest of what makes a request: headers vary from one attempt to the next."""
    digest = sha256(f"{request.method} {request.path}?".encode() + request.query_string + b"\n")
    digest.update(request.raw)
    return digest.hexdigest()


def render_key(template: Any, received: Mapping[str, Any]) -> str:
    """Return the idempotency key of a request by a template, empty for none."""
    return render_field(template, {**received, "trigger": received}).strip()


def render_resume(resume: Mapping[str, Any], received: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ID of the run that a request resumes, empty for a new run, and the name of its event."""
    context = {**received, "trigger": received}
    run_id = render_field(resume.get("run_id") or "", context).strip()
    return run_id, render_field(resume.get("event") or "", context) if run_id else ""


def _new_delivery(row: TriggerRow, received: Mapping[str, Any], **more: Any) -> Delivery:
    return Delivery.new(KIND, row.customer_id, row.path or "", dict(received), **more)
