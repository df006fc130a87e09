"""Webhooks: requests from outside that start a run, or answer one that waits.

Every request is written down with what became of it, but floods of refused ones. Credentials are never kept.
"""

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from orchestrator.errors import OperationRefused, OrchestratorError, RunNotFound, ServerUnavailable
from orchestrator.model.run import Run
from orchestrator.planner.trigger_checks import MAX_ANSWER_SECONDS
from orchestrator.service.events import Events, require_acceptable_size, starts_for
from orchestrator.service.signatures import (
    SIGNATURE_HEADER,
    SIGNATURE_PREFIX,
    STAMPED,
    TIMESTAMP_HEADER,
    TOLERANCE_SECONDS,
    SecretMissing,
    SignatureRefused,
)
from orchestrator.service.webhook_request import MethodNotAllowed, WebhookRequest, build_trigger_data, render_field
from orchestrator.settings import Settings
from orchestrator.store.deliveries import ACCEPTED, FAILED, REJECTED, Deliveries, Delivery, Start
from orchestrator.store.records import ACTIVE, REMOVED, TriggerRow
from orchestrator.store.workflows import Definitions, WorkflowNotFound
from orchestrator.temporal.client.runs import Runs

logger = logging.getLogger(__name__)
KIND = "webhook"
TIMEOUT_SECONDS = 30.0
MAX_KEY = 255
MAX_RUN_ID = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request."""

    delivery: Delivery
    run: Run | None = None
    """The run that has ended, where the sender is to have its output."""


class Webhooks:
    """The webhooks of all customers."""

    def __init__(
        self, definitions: Definitions, deliveries: Deliveries, events: Events, runs: Runs, settings: Settings
    ) -> None:
        self.definitions = definitions
        self.deliveries = deliveries
        self.events = events
        self.runs = runs
        self.settings = settings

    async def find(self, customer_id: str, path: str) -> TriggerRow:
        """Find what is reached at a path; raises WorkflowNotFound."""
        row = await self.definitions.find_webhook(customer_id, path)
        if row is None or row.kind != KIND or row.wanted == REMOVED:
            raise WorkflowNotFound("no webhook is reached at this address")
        return row

    def admit(self, row: TriggerRow, request: WebhookRequest) -> None:
        """Check that whoever asks may; raises MethodNotAllowed, SignatureRefused and SecretMissing.

        Nothing of the request has been read but its bytes, and nothing is written down: see `reject`.
        """
        methods = row.config.get("methods") or ["POST"]
        allowed = [str(each).upper() for each in (methods if isinstance(methods, list) else [methods])]
        if request.method not in allowed:
            raise MethodNotAllowed(request.method, allowed)
        if row.config.get("secret"):
            self._check_signature(row.config, request)

    async def reject(self, row: TriggerRow, request: WebhookRequest, error: OrchestratorError) -> None:
        """Write down why a request was not let in: of it, nothing that a stranger could fill the ledger with."""
        received = {"method": request.method, "path": request.path}
        await self.deliveries.accept(_new_delivery(row, received, None, REJECTED, reason=str(error)), None)

    async def receive(self, row: TriggerRow, request: WebhookRequest) -> Answer:
        """Take in a request that has been admitted; raises what refuses it, which is written down."""
        try:
            if row.wanted != ACTIVE:
                raise OperationRefused("the workflow that is reached here is paused")
            key = self._get_key(row, request)
            received = build_trigger_data(request, request.read_body())
            require_acceptable_size(received)
            start = self._plan_start(row, received)
        except OrchestratorError as error:
            await self.reject(row, request, error)
            raise
        delivery = _new_delivery(row, received, key, ACCEPTED, starts=(start,))
        stored = await self.deliveries.accept(delivery, None if key is None else f"{KIND}:{row.path}:{key}")
        done = await self.events.deliver(stored)
        if done.starts[0].state == FAILED:
            await self.deliveries.release_slot(done.duplicate_of or done.id)  # sent again, it is tried again
        if row.config.get("respond") != "output":
            return Answer(done)
        return Answer(done, await self._wait_for_run(done, row))

    def _get_key(self, row: TriggerRow, request: WebhookRequest) -> str | None:
        """Give what tells a request from others."""
        name = row.config.get("idempotency_header")
        key = request.get_header(str(name)) if name else None
        if key is not None and len(key) > MAX_KEY:
            raise OperationRefused(f"{name} is longer than {MAX_KEY} characters")
        return key or None

    def _check_signature(self, config: Mapping[str, Any], request: WebhookRequest) -> None:
        secret = self._resolve_secret(config["secret"])
        prefix = config.get("signature_prefix")
        prefix = SIGNATURE_PREFIX if prefix is None else str(prefix)
        name = str(config.get("signature_header") or SIGNATURE_HEADER)
        signature = request.get_header(name)
        if signature is None:
            raise SignatureRefused(f"the request is not signed: it has no header {name}")
        timestamp = self._check_timestamp(config, request)
        if timestamp is None and STAMPED.match(request.raw):
            # A signature of `<timestamp>.<body>` must not be taken for one of a body that begins so.
            raise SignatureRefused("a body that begins like a timestamp is signed with one")
        signed = request.raw if timestamp is None else f"{timestamp}.".encode() + request.raw
        wanted = prefix + hmac.new(secret.encode(), signed, sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), wanted.encode()):
            what = "the body" if timestamp is None else "the timestamp, a dot and the body"
            raise SignatureRefused(f"{name} does not fit {what}")

    def _resolve_secret(self, template: Any) -> str:
        try:
            secret = render_field(template, {"secrets": self.settings.read_secrets()})
        except OrchestratorError as error:
            logger.error("the secret of a webhook cannot be read: %s", error)  # noqa: TRY400 - its name is enough
            raise SecretMissing from None
        if not secret:
            raise SecretMissing
        return secret

    def _check_timestamp(self, config: Mapping[str, Any], request: WebhookRequest) -> str | None:
        """Give the time of sending, where one is sent and is not too far from now."""
        asked = config.get("timestamp_header")
        name = str(asked or TIMESTAMP_HEADER)
        timestamp = request.get_header(name)
        if timestamp is None:
            if asked:
                raise SignatureRefused(f"the request says not when it was sent: it has no header {name}")
            return None
        tolerance = float(config.get("tolerance_seconds") or TOLERANCE_SECONDS)
        try:
            apart = abs(datetime.now(UTC).timestamp() - float(timestamp))
        except ValueError:
            raise SignatureRefused(f"{name} is no time in seconds since 1970") from None
        if not apart <= tolerance:
            raise SignatureRefused(f"{name} is more than {tolerance:g} seconds from now")
        return timestamp

    def _plan_start(self, row: TriggerRow, received: Mapping[str, Any]) -> Start:
        """Say which run is started, or which one is answered."""
        asked = row.config.get("resume")
        resume = asked if isinstance(asked, Mapping) else {}
        seen = {**received, "trigger": received}
        run_id = render_field(resume.get("run_id") or "", seen).strip()
        if not run_id:
            return starts_for([row])[0]
        if len(run_id) > MAX_RUN_ID or not run_id.isprintable():
            raise RunNotFound("that is no run's id")
        return Start(
            row.workflow_id, row.version, run_id, given={"event": render_field(resume.get("event") or "", seen)}
        )

    async def _wait_for_run(self, delivery: Delivery, row: TriggerRow) -> Run | None:
        """Wait for the run, as long as its webhook says."""
        wanted = float(row.config.get("timeout_seconds") or TIMEOUT_SECONDS)
        start = delivery.starts[0]
        if start.state not in ("started", "resumed"):
            return None
        try:
            return await self.runs.reader.wait_for_end(start.run_id, min(wanted, MAX_ANSWER_SECONDS))
        except ServerUnavailable:  # the run has been started: whoever is told otherwise sends it again
            return None


def _new_delivery(
    row: TriggerRow,
    received: Mapping[str, Any],
    key: str | None,
    outcome: str,
    *,
    reason: str | None = None,
    starts: tuple[Start, ...] = (),
) -> Delivery:
    return Delivery(
        id=str(uuid4()),
        customer_id=row.customer_id,
        kind=KIND,
        name=row.path or "",
        key=key,
        outcome=outcome,
        reason=reason,
        received=dict(received),
        received_at=datetime.now(UTC),
        starts=starts,
    )
