"""The life of definitions: content, published, paused, archived, and planned for a start."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, cast
from uuid import uuid4

from activities.registry import Registry
from orchestrator.errors import DefinitionInvalid, OperationRefused, Problem
from orchestrator.model.definition import WORKFLOW_NAME
from orchestrator.model.plan import FORMAT, Plan
from orchestrator.model.run import format_timestamp
from orchestrator.planner.planner import check
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.verdict import Verdict
from orchestrator.service.callees import MAX_CALLEES, find_callees
from orchestrator.store.records import ACTIVE, PAUSED, Stored, Version
from orchestrator.store.run_index import Counts, RunIndex
from orchestrator.store.workflows import Definitions, require_revision
from orchestrator.temporal.payloads import MAX_PAYLOAD_BYTES, measure_json

DRAFT, ARCHIVED = "draft", "archived"
SERVICE_KEYS = (
    "status", "version", "customer_id", "created_at", "updated_at", "created_by",
    "run_count", "success_count", "failure_count", "last_run_at", "success_rate",
)  # fmt: skip
"""Keys of a definition that the service knows, whatever is sent."""
DRAFT_VERSION = 0
"""Of runs of what is not published: tries of a draft, and definitions that are not kept."""
MAX_RECEIVED_BYTES = 1_000_000
"""Of an event or a webhook's request, as JSON."""
MAX_PLAN_BYTES = MAX_PAYLOAD_BYTES - MAX_RECEIVED_BYTES - 10_000
"""What a run begins with holds the plan and what has come in: whatever is accepted can start."""
MAX_PLANS = 200
LARGE_CHARACTERS = 100_000
"""Of JSON: what is larger is judged beside the event loop. A thousand plain nodes, and some 50 ms."""


@dataclass(frozen=True, slots=True)
class StartPlan:
    """A workflow, ready to be started."""

    plan: Plan
    version: int
    """0 is the working copy."""


class Workflows:
    """The definitions of all customers."""

    def __init__(self, definitions: Definitions, index: RunIndex, registry: Registry) -> None:
        self.definitions = definitions
        self.index = index
        # The planner only reads what it is given; a frozen ActionSpec is narrower than its protocol says.
        self.registry = cast("Catalogue", registry)
        self._plans: dict[tuple[str, str, int, datetime], Plan] = {}

    async def create(self, customer_id: str, definition: Mapping[str, Any], by: str) -> Stored:
        """Keep a new draft; raises DefinitionInvalid and WorkflowExists."""
        workflow_id = str(definition.get("id") or uuid4())
        _check_id(workflow_id)
        content = _strip_service_keys(definition, workflow_id)
        await self._plan(customer_id, content)
        return await self.definitions.create(customer_id, workflow_id, content, by)

    async def save(
        self, customer_id: str, workflow_id: str, definition: Mapping[str, Any], revision: int | None
    ) -> Stored:
        """Replace the working copy; raises DefinitionInvalid, EditConflict, OperationRefused and WorkflowNotFound."""
        found = await self.definitions.get(customer_id, workflow_id)
        if found.status == ARCHIVED:
            raise OperationRefused(f"workflow {workflow_id!r} is archived", hint="activate it first")
        named = definition.get("id") or workflow_id
        if named != workflow_id:
            message = f"the definition is of {named!r}, the address of {workflow_id!r}"
            raise DefinitionInvalid([Problem("error", "other_id", "/id", message)])
        content = _strip_service_keys(definition, workflow_id)
        await self._plan(customer_id, content)
        return await self.definitions.save(customer_id, workflow_id, content, revision)

    async def plan_unsaved(self, customer_id: str, definition: Mapping[str, Any]) -> Plan:
        """Plan a definition that is run without being kept; raises DefinitionInvalid."""
        workflow_id = str(definition.get("id") or uuid4())
        _check_id(workflow_id)
        return _as_draft(await self._plan(customer_id, _strip_service_keys(definition, workflow_id)))

    async def check(
        self,
        customer_id: str,
        definition: Mapping[str, Any],
        unsaved: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Verdict:
        """Check a definition as if it were this customer's; what it calls is `beside` it, or read from the store."""
        found, drafts = await self._load_callees(customer_id, definition)
        callees = {**found, **unsaved}
        run_check = partial(
            check,
            {**definition, "customer_id": customer_id},
            registry=self.registry,
            workflows=callees,
            drafts=drafts - unsaved.keys(),
        )
        return await asyncio.to_thread(run_check) if _is_large([definition, callees]) else run_check()

    async def activate(self, customer_id: str, workflow_id: str, revision: int | None, by: str) -> Stored:
        """Publish what has been edited, and let its trigger start it."""
        found = await self._get_at_revision(customer_id, workflow_id, revision)
        if found.version and not found.edited:
            return found if found.status == ACTIVE else await self.definitions.set_status(found, ACTIVE)
        plan = await self._plan(customer_id, {**found.definition, "version": found.version + 1})
        return await self.definitions.publish(found, found.definition, plan.to_json(), by=by)

    async def rollback(self, customer_id: str, workflow_id: str, version: int, revision: int | None, by: str) -> Stored:
        """Publish an older version again, as the newest; what is paused stays paused."""
        found = await self._get_at_revision(customer_id, workflow_id, revision)
        if found.status == ARCHIVED:
            raise OperationRefused(f"workflow {workflow_id!r} is archived", hint="activate it first")
        older = await self.definitions.get_version(customer_id, workflow_id, version)
        plan = await self._plan(customer_id, {**older.definition, "version": found.version + 1})
        return await self.definitions.publish(found, older.definition, plan.to_json(), by=by, copy_of=version)

    async def pause(self, customer_id: str, workflow_id: str, revision: int | None) -> Stored:
        """Hold the trigger of an active workflow."""
        found = await self._get_at_revision(customer_id, workflow_id, revision)
        if found.status not in (ACTIVE, PAUSED):
            raise OperationRefused(f"workflow {workflow_id!r} is {found.status}: there is nothing to pause")
        return found if found.status == PAUSED else await self.definitions.set_status(found, PAUSED)

    async def archive(self, customer_id: str, workflow_id: str, revision: int | None) -> Stored:
        """Take the trigger away and refuse edits and starts; runs go on."""
        found = await self._get_at_revision(customer_id, workflow_id, revision)
        return found if found.status == ARCHIVED else await self.definitions.set_status(found, ARCHIVED)

    async def plan_to_start(self, customer_id: str, workflow_id: str, version: int | None = None) -> StartPlan:
        """Give the plan to start by hand: of the version named, the newest published, or the working copy."""
        found = await self.definitions.get_head(customer_id, workflow_id)
        if found.status == ARCHIVED:
            raise OperationRefused(f"workflow {workflow_id!r} is archived", hint="activate it to start it")
        number = found.version if version is None else version
        if not number:
            content = (await self.definitions.get(customer_id, workflow_id)).definition
            return StartPlan(_as_draft(await self._plan(customer_id, content)), DRAFT_VERSION)
        # Versions never change; a workflow that was deleted and made anew is told by its time.
        name = (customer_id, workflow_id, number, found.created_at)
        plan = self._plans.get(name)
        if plan is None:
            plan = await self.load_plan(await self.definitions.get_version(customer_id, workflow_id, number))
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[name] = plan
        return StartPlan(plan, number)

    async def load_plan(self, version: Version) -> Plan:
        """Give the plan of a version: as it was made then, unless a later release writes plans otherwise."""
        if version.plan.get("format", FORMAT) == FORMAT:
            return Plan.model_validate(version.plan)
        return await self._plan(version.customer_id, {**version.definition, "version": version.version})

    async def describe(self, found: Sequence[Stored]) -> list[dict[str, Any]]:
        """Give definitions as people see them, with what their runs did."""
        counts: dict[str, dict[str, Counts]] = {}
        for customer_id in {stored.customer_id for stored in found}:
            names = [stored.id for stored in found if stored.customer_id == customer_id]
            counts[customer_id] = await self.index.count_runs(customer_id, names)
        return [_describe(stored, counts[stored.customer_id].get(stored.id, Counts())) for stored in found]

    async def _get_at_revision(self, customer_id: str, workflow_id: str, revision: int | None) -> Stored:
        found = await self.definitions.get(customer_id, workflow_id)
        require_revision(found, revision)
        return found

    async def _plan(self, customer_id: str, definition: Mapping[str, Any]) -> Plan:
        """Give the plan; raises DefinitionInvalid, also where no run could hold it."""
        plan = (await self.check(customer_id, definition)).require()
        size = measure_json(plan.to_json()) + measure_json(definition["trigger"].get("config"))
        if size > MAX_PLAN_BYTES:
            whole = "the workflow with what it calls and what its trigger gives"
            message = f"{whole} takes {size:,} bytes, more than the {MAX_PLAN_BYTES:,} of a run"
            hint = "keep large values elsewhere and pass references"
            raise DefinitionInvalid([Problem("error", "too_large", "", message, hint)])
        return plan

    async def _load_callees(
        self, customer_id: str, definition: Mapping[str, Any]
    ) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """Read the definitions that are called, and those that they call: by id, and by `id@version` where named.

        Gives also which of them have never been published.
        """
        found: dict[str, dict[str, Any]] = {}
        drafts: set[str] = set()
        seen: set[tuple[str, int | None]] = set()
        wanted = find_callees(definition)
        while wanted:
            seen |= wanted
            stored = await self.definitions.get_many(customer_id, sorted({name for name, _ in wanted}))
            # One that is not there is read as the newest, so that this is what is told.
            there = {
                (name, version if version is not None and version <= stored[name].version else None)
                for name, version in wanted
                if name in stored
            }
            if len(found) + len(there) > MAX_CALLEES:
                message = f"more than {MAX_CALLEES} workflows are called, by this one and by those that it calls"
                raise DefinitionInvalid([Problem("error", "too_many_callees", "/nodes", message)])
            loaded = [await self._load_callee(stored[name], version) for name, version in there]
            found |= dict(loaded)
            drafts |= {name for name, row in stored.items() if not row.version}
            wanted = {each for _, content in loaded for each in find_callees(content)} - seen
        return found, drafts

    async def _load_callee(self, row: Stored, version: int | None) -> tuple[str, dict[str, Any]]:
        """Read one: a version, or the newest; the draft while there is none."""
        number = version or row.version
        if not number:
            return row.id, dict(row.definition)
        published = await self.definitions.get_version(row.customer_id, row.id, number)
        return f"{row.id}@{version}" if version else row.id, {**published.definition, "version": number}


def _is_large(definitions: Any) -> bool:
    return len(json.dumps(definitions, default=str)) > LARGE_CHARACTERS


def _check_id(workflow_id: str) -> None:
    if not WORKFLOW_NAME.fullmatch(workflow_id):
        hint = "letters, digits, dots, dashes and underscores, 128 at most"
        raise DefinitionInvalid([Problem("error", "bad_id", "/id", f"{workflow_id!r:.100} cannot be an id", hint)])


def _as_draft(plan: Plan) -> Plan:
    return plan.model_copy(update={"version": DRAFT_VERSION})


def _strip_service_keys(definition: Mapping[str, Any], workflow_id: str) -> dict[str, Any]:
    content = {name: value for name, value in definition.items() if name not in SERVICE_KEYS}
    return {**content, "id": workflow_id}


def _describe(stored: Stored, counts: Counts) -> dict[str, Any]:
    return {
        **stored.definition,
        "customer_id": stored.customer_id,
        "status": stored.status,
        "version": stored.content_version,
        "created_at": format_timestamp(stored.created_at),
        "updated_at": format_timestamp(stored.updated_at),
        "created_by": stored.created_by,
        "run_count": counts.total,
        "success_count": counts.of("completed"),
        "failure_count": counts.of("failed"),
        "last_run_at": counts.last_run_at and format_timestamp(counts.last_run_at),
        "success_rate": counts.success_rate,
    }
