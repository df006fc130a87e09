"""The Temporal Schedules of workflows with a trigger of type `schedule`, one each.

Temporal is the only record of what is installed. The search attributes of a schedule hold its customer and version,
so that a reconciler can compare all of them from the list.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleListDescription,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused
from orchestrator.model.definition import Trigger
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.model.run_ids import draw_run_id
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.runs import build_priority
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payload_store.driver import get_max_payload_bytes
from orchestrator.temporal.payloads import encode_inline
from orchestrator.temporal.requests import build_run_request, split_request
from orchestrator.temporal.schedules.spec import build_policy, build_spec, parse_overlap_policy
from orchestrator.temporal.search_attributes import VERSION, build_search_attributes
from orchestrator.temporal.workflow_types import name_run_type

PREFIX = "orchestrator"
TRIGGER_TYPE = "schedule"
INSTALLATION = "orchestrator_installation"
"""Memo of a schedule: the id of the database that installed it."""
ATTEMPTS = 5
"""Attempts to install while other processes install and remove the same schedule."""
LOOKAHEAD = timedelta(days=50 * 366)
"""How far ahead fire times are searched; a cron expression that ever fires does so within it."""


def build_schedule_id(customer_id: str, workflow_id: str) -> str:
    """Return the id of a workflow's schedule, unique over customers."""
    return f"{PREFIX}:{quote(customer_id, safe='')}:{quote(workflow_id, safe='')}"


def parse_schedule_id(name: str) -> tuple[str, str] | None:
    """Return `(customer id, workflow id)` of a schedule; `None` where it is not one of this engine's."""
    parts = name.split(":")
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    return unquote(parts[1]), unquote(parts[2])


@dataclass(frozen=True, slots=True)
class InstalledSchedule:
    """A schedule as Temporal lists it; changes appear after a moment."""

    customer_id: str
    workflow_id: str
    version: int | None
    paused: bool
    note: str = ""
    installation: str = ""
    """The id of the database that installed it."""


class Schedules:
    """The schedules of a namespace."""

    def __init__(self, client: Client, settings: Settings, installation: str = "") -> None:
        self.client = client
        self.settings = settings
        self.installation = installation
        """The id of the database that this process installs schedules for."""

    async def install(self, plan: Plan, trigger: Trigger, *, paused: bool, note: str = "") -> None:
        """Create or update the schedule of a workflow.

        Raises CronError and OperationRefused where Temporal cannot represent the trigger, and OperationRefused where
        the schedule belongs to another database.
        """
        info = RunInfo(
            id="",
            customer_id=plan.customer_id,
            trigger_type=TRIGGER_TYPE,
            max_payload_bytes=get_max_payload_bytes(self.settings),
        )
        attributes = TypedSearchAttributes(build_search_attributes(plan, info))
        action = self._action(plan, trigger, info, attributes)
        schedule = Schedule(
            action=action,
            spec=build_spec(trigger),
            policy=build_policy(trigger),
            state=ScheduleState(note=note or None, paused=paused),
        )

        async def change(update: ScheduleUpdateInput) -> ScheduleUpdate:
            installed_by = str(await update.description.memo_value(INSTALLATION, ""))
            if installed_by not in ("", self.installation):
                raise OperationRefused(
                    f"the schedule {name!r} was installed from another database",
                    hint="use one namespace for each database; delete schedules of a lost database by hand",
                )
            before = update.description.schedule.action
            if isinstance(before, ScheduleActionStartWorkflow):
                # The same workflow id keeps Temporal from starting a time twice while its first run is running.
                action.id = before.id
            return ScheduleUpdate(schedule, attributes)

        name = build_schedule_id(plan.customer_id, plan.id)
        async with translate_rpc_errors():
            for _ in range(ATTEMPTS):
                if await self._create(name, schedule, attributes) or await self._update(name, change):
                    return
        raise OperationRefused(f"the schedule of {plan.id!r} is being changed by other processes")

    def _action(
        self, plan: Plan, trigger: Trigger, info: RunInfo, attributes: TypedSearchAttributes
    ) -> ScheduleActionStartWorkflow:
        request = build_run_request(plan, info, input_data=trigger.config.get("input"), trigger={"type": TRIGGER_TYPE})
        return ScheduleActionStartWorkflow(
            name_run_type(plan.id),
            # They belong to no run: each run that it starts has them from the schedule.
            args=[encode_inline(arg) for arg in split_request(request)],
            id=draw_run_id(plan.id),  # Temporal appends the time
            task_queue=self.settings.task_queue,
            typed_search_attributes=attributes,
            static_summary=escape_markdown(plan.name[:200]) or None,
            priority=build_priority(plan),
        )

    async def _create(self, name: str, schedule: Schedule, attributes: TypedSearchAttributes) -> bool:
        try:
            await self.client.create_schedule(
                name, schedule, search_attributes=attributes, memo={INSTALLATION: self.installation}
            )
        except ScheduleAlreadyRunningError:
            return False
        return True

    async def _update(self, name: str, change: Any) -> bool:
        try:
            await self.client.get_schedule_handle(name).update(change)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def remove(self, customer_id: str, workflow_id: str) -> None:
        """Remove the schedule of a workflow, if there is one; its runs continue."""
        async with translate_rpc_errors():
            try:
                await self.client.get_schedule_handle(build_schedule_id(customer_id, workflow_id)).delete()
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

    async def trigger(self, customer_id: str, workflow_id: str, overlap: str = "allow_all") -> None:
        """Start a run now, also while paused; Temporal starts only one in the same second."""
        policy = parse_overlap_policy(overlap)
        async with self.open_handle(customer_id, workflow_id) as handle:
            await handle.trigger(overlap=policy)

    async def list_next_times(self, customer_id: str, workflow_id: str, count: int = 10) -> list[datetime]:
        """Return the next fire times in UTC, with jitter, also while paused.

        Raises OperationRefused where there is no schedule.
        """
        now = datetime.now(UTC)
        async with self.open_handle(customer_id, workflow_id) as handle:
            await handle.describe()  # Temporal lists fire times of deleted schedules as well
            return (await self.list_matching_times(handle.id, now, now + LOOKAHEAD))[:count]

    async def list_matching_times(self, name: str, after: datetime, until: datetime) -> list[datetime]:
        """Return the fire times after one time, up to and including another; at most the first 1,000."""
        request = ListScheduleMatchingTimesRequest(namespace=self.client.namespace, schedule_id=name)
        request.start_time.FromDatetime(after)
        request.end_time.FromDatetime(until)
        answer = await self.client.workflow_service.list_schedule_matching_times(request, retry=True)
        return [moment.ToDatetime(UTC) for moment in answer.start_time]

    async def list_installed(self) -> AsyncIterator[InstalledSchedule]:
        """Yield the schedules of workflows in the namespace."""
        async with translate_rpc_errors():
            async for entry in await self.client.list_schedules():
                installed = await _read_entry(entry)
                if installed is not None:
                    yield installed

    @asynccontextmanager
    async def open_handle(self, customer_id: str, workflow_id: str) -> AsyncIterator[ScheduleHandle]:
        """Open a handle to a workflow's schedule; raises OperationRefused where there is none."""
        async with translate_rpc_errors():
            try:
                yield self.client.get_schedule_handle(build_schedule_id(customer_id, workflow_id))
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                raise OperationRefused(
                    f"workflow {workflow_id!r} has no schedule", hint="activate it with a trigger of type schedule"
                ) from error


async def _read_entry(entry: ScheduleListDescription) -> InstalledSchedule | None:
    owner = parse_schedule_id(entry.id)
    if owner is None:
        return None
    state = entry.schedule.state if entry.schedule is not None else None
    return InstalledSchedule(
        *owner,
        version=entry.typed_search_attributes.get(VERSION),
        paused=state is not None and state.paused,
        note=(state.note or "") if state is not None else "",
        installation=str(await entry.memo_value(INSTALLATION, "")),
    )
