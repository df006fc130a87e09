"""Check definitions, and make the plans that runs start with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar, cast
from uuid import uuid4

from activities.registry import Registry
from orchestrator.errors import DefinitionInvalid, OperationRefused, Problem
from orchestrator.forecast.forecast import forecast_run
from orchestrator.forecast.report import Forecast
from orchestrator.forecast.sizes import Sizes
from orchestrator.jsontools.schema import find_problems
from orchestrator.model.definition import SERVICE_KEYS, WORKFLOW_NAME
from orchestrator.model.plan import FORMAT, LATEST, Plan
from orchestrator.model.plan_nodes import list_kept_calls, takes_latest
from orchestrator.planner.data_flow.names import KnownName
from orchestrator.planner.planner import check, list_names
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.verdict import Verdict
from orchestrator.service.callees import load_callees
from orchestrator.service.permissions import PermissionReader
from orchestrator.service.process_pool import ProcessPool
from orchestrator.store.records import ARCHIVED, Version
from orchestrator.store.ttl_cache import TtlCache
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.payloads import measure_json
from orchestrator.temporal.workflow_types import RESERVED_PREFIX

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

DRAFT_VERSION = 0
"""The version of runs of drafts and of definitions that are not stored."""
MAX_PLAN_BYTES = 890_000
MAX_REQUEST_BYTES = MAX_PLAN_BYTES + 10_000
"""Of the request of a run without the trigger data, as JSON: whatever is accepted must be able to start."""
MAX_PLANS = 200


@dataclass(frozen=True, slots=True)
class StartPlan:
    """The plan of a workflow that is about to start."""

    plan: Plan
    version: int
    """0 is the draft."""


class Plans:
    """The plans of all customers' workflows."""

    def __init__(
        self,
        definitions: Definitions,
        registry: Registry,
        permissions: PermissionReader,
        pool: ProcessPool | None = None,
    ) -> None:
        self.definitions = definitions
        self.pool = pool
        """Where definitions and inputs are checked; without one they are checked here, on a command's own data."""
        # The planner only reads the registry, and a frozen ActionSpec is narrower than the protocol.
        self.registry = cast("Catalogue", registry)
        self.permissions = permissions
        self._plans: TtlCache[tuple[str, str, int, datetime], Plan] = TtlCache(MAX_PLANS)

    async def check(
        self,
        customer_id: str,
        definition: Mapping[str, Any],
        unsaved: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        held: Mapping[str, int] = MappingProxyType({}),
    ) -> Verdict:
        """Check a definition of a customer; callees are read from `unsaved`, then from the store.

        `held` has the versions of callees to take where the definition does not say which; else it is the newest.
        """
        return await self._call_planner(customer_id, check_to_start, definition, (), unsaved, held)

    async def list_names(self, customer_id: str, definition: Mapping[str, Any], pointer: str) -> list[KnownName]:
        """Return the names that the value at a JSON Pointer of a definition may read, with their types."""
        return await self._call_planner(customer_id, list_names, definition, (pointer,))

    async def _call_planner(
        self,
        customer_id: str,
        function: Callable[..., ResultT],
        definition: Mapping[str, Any],
        arguments: tuple[str, ...],
        unsaved: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        held: Mapping[str, int] = MappingProxyType({}),
    ) -> ResultT:
        """Call a function of the planner with a definition, its callees, and what the customer may name."""
        stored = await load_callees(self.definitions, customer_id, definition, held)
        published = {key: each for key, each in stored.definitions.items() if not _is_replaced(key, unsaved)}
        return await self.call(
            customer_id,
            function,
            {**definition, "customer_id": customer_id},
            *arguments,
            registry=self.registry,
            workflows={**published, **unsaved},
            drafts=stored.drafts - unsaved.keys(),
            permissions=await self.permissions.read(customer_id),
        )

    async def forecast(self, customer_id: str, verdict: Verdict, sizes: Sizes | None) -> Forecast | None:
        """Return what a run of a definition writes into its history; `None` without sizes, or where it has errors."""
        if sizes is None or verdict.plan is None:
            return None
        return await self.call(customer_id, forecast_run, verdict.plan, sizes)

    async def check_together(self, customer_id: str, definitions: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """Check definitions of a customer that may call each other; none of them needs to be stored."""
        unsaved = index_by_id(definitions)
        return [await self.check(customer_id, each, unsaved) for each in definitions]

    async def call(
        self, customer_id: str, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """Call a function whose time is not bounded by the size of its arguments; raises TooCostly."""
        if self.pool is None:
            return function(*args, **kwargs)
        return await self.pool.call(customer_id, function, *args, **kwargs)

    async def require_valid_input(self, plan: Plan, run_input: Any) -> None:
        """Raise DefinitionInvalid where an input is not valid, with pointers into the request; or TooCostly."""
        if plan.input_schema is None:
            return
        problems = await self.call(plan.customer_id, find_problems, plan.input_schema, run_input)
        if problems:
            raise DefinitionInvalid(
                [Problem(each.severity, each.code, f"/input{each.path}", each.message, each.hint) for each in problems]
            )

    async def make(self, customer_id: str, definition: Mapping[str, Any]) -> Plan:
        """Return the plan of a definition; raises DefinitionInvalid."""
        return (await self.check(customer_id, definition)).require()

    async def make_unsaved(
        self, customer_id: str, definition: Mapping[str, Any], callees: Iterable[Mapping[str, Any]] = ()
    ) -> Plan:
        """Return the plan of a definition that runs without being stored; raises DefinitionInvalid.

        Callees are read from `callees`, then from the store.
        """
        content = normalize(definition, str(definition.get("id") or uuid4()))
        return _as_draft((await self.check(customer_id, content, index_by_id(callees))).require())

    async def load(self, version: Version) -> Plan:
        """Return the plan of a published version: made again where it has an older format, or takes a latest version.

        Raises DefinitionInvalid where it does not fit the latest version of a workflow that it calls.
        """
        held = version.held
        if version.plan.get("format", FORMAT) == FORMAT:
            plan = Plan.model_validate(version.plan)
            if not takes_latest(plan):
                return plan
            # What only a latest version calls is as new as that one: it may need what older ones do not have.
            held = {name: number for name, number in held.items() if name in list_kept_calls(plan)}
        definition = {**version.definition, "version": version.version}
        return (await self.check(version.customer_id, definition, held=held)).require()

    async def load_to_start(self, customer_id: str, workflow_id: str, version: int | None = None) -> StartPlan:
        """Return the plan of a version: this one, or else the newest published one, or else the draft.

        Raises WorkflowNotFound, DefinitionInvalid, and OperationRefused for an archived workflow.
        """
        head = await self.definitions.get_head(customer_id, workflow_id)
        if head.status == ARCHIVED:
            raise OperationRefused(f"workflow {workflow_id!r} is archived", hint="activate it to start it")
        number = head.version if version is None else version
        if not number:
            definition = (await self.definitions.get(customer_id, workflow_id)).definition
            return StartPlan(_as_draft(await self.make(customer_id, definition)), DRAFT_VERSION)

        async def load() -> Plan:
            return await self.load(await self.definitions.get_version(customer_id, workflow_id, number))

        # Versions never change; the creation time tells a workflow from a deleted one with the same id.
        plan = await self._plans.get((customer_id, workflow_id, number, head.created_at), load)
        return StartPlan(await load() if takes_latest(plan) else plan, number)


def _is_replaced(key: str, unsaved: Mapping[str, Any]) -> bool:
    """Return whether a definition that is sent along takes the place of the latest version that is stored."""
    return key.endswith(f"@{LATEST}") and key.removesuffix(f"@{LATEST}") in unsaved


def check_to_start(definition: Mapping[str, Any], **context: Any) -> Verdict:
    """Check a definition, and that its plan is small enough for a run to start with."""
    verdict = check(definition, **context)
    if verdict.plan is None:
        return verdict
    size = measure_json(verdict.plan.to_json()) + measure_json(definition["trigger"].get("config"))
    if size <= MAX_PLAN_BYTES:
        return verdict
    message = (
        f"the workflow takes {size:,} bytes with its callees and the input of its trigger;"
        f" a run can start with at most {MAX_PLAN_BYTES:,}"
    )
    hint = "keep large values elsewhere and pass references"
    return Verdict(None, [Problem("error", "too_large", "", message, hint), *verdict.problems])


def index_by_id(definitions: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return definitions by their ID; those without one cannot be called."""
    return {each["id"]: each for each in definitions if isinstance(each.get("id"), str)}


def normalize(definition: Mapping[str, Any], workflow_id: str) -> dict[str, Any]:
    """Return a definition with its ID and without the keys of the service; raises DefinitionInvalid for a bad ID."""
    if workflow_id.startswith(RESERVED_PREFIX):
        message = f"ids that begin with {RESERVED_PREFIX!r} are reserved for the engine itself"
        raise DefinitionInvalid([Problem("error", "bad_id", "/id", message, "use another prefix")])
    if not WORKFLOW_NAME.fullmatch(workflow_id):
        hint = "use up to 128 letters, digits, dots, dashes and underscores"
        raise DefinitionInvalid([Problem("error", "bad_id", "/id", f"{workflow_id!r:.100} is not a valid id", hint)])
    return {**{name: value for name, value in definition.items() if name not in SERVICE_KEYS}, "id": workflow_id}


def _as_draft(plan: Plan) -> Plan:
    return plan.model_copy(update={"version": DRAFT_VERSION})
