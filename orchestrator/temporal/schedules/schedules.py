"""Temporal Schedules: the one of each workflow that starts by time.

Temporal is the only keeper of what is installed. A schedule's search attributes say whose it is and which version
it starts, so that a reconciler can compare without opening each.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote, unquote

from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
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
from orchestrator.model.run import RunInfo, format_timestamp
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.runs import build_priority
from orchestrator.temporal.client.visibility import quote_literal
from orchestrator.temporal.requests import build_run_request
from orchestrator.temporal.schedules.backfill import MAX_BACKFILL, match_started_times, require_no_pending_starts
from orchestrator.temporal.schedules.spec import build_policy, build_spec, parse_overlap_policy
from orchestrator.temporal.search_attributes import (
    CUSTOMER_ID,
    SCHEDULED_AT,
    VERSION,
    WORKFLOW,
    WORKFLOW_ID,
    build_search_attributes,
)

PREFIX = "orchestrator"
TRIGGER_TYPE = "schedule"
INSTALLATION = "orchestrator_installation"
"""Memo of a schedule."""
ATTEMPTS = 5
"""An installation meets others' installations and removals this often at most."""
MILLISECOND = timedelta(milliseconds=1)
LOOKAHEAD = timedelta(days=50 * 366)
"""How far next times are looked for; a cron expression that fires at all fires within that."""


def schedule_id(customer_id: str, workflow_id: str) -> str:
    """Name the schedule of a workflow; two tenants never meet under one name."""
    return f"{PREFIX}:{quote(customer_id, safe='')}:{quote(workflow_id, safe='')}"


def owner_of(name: str) -> tuple[str, str] | None:
    """Read `(customer id, workflow id)` from a schedule's name; `None` for schedules of others."""
    parts = name.split(":")
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    return unquote(parts[1]), unquote(parts[2])


@dataclass(frozen=True, slots=True)
class InstalledSchedule:
    """A schedule that Temporal keeps, as its list shows it: changes appear there after a moment."""

    customer_id: str
    workflow_id: str
    version: int | None
    paused: bool
    note: str = ""
    installation: str = ""
    """The store that has installed it."""


class Schedules:
    """The schedules of all customers in a namespace."""

    def __init__(self, client: Client, settings: Settings, installation: str = "") -> None:
        self.client = client
        self.settings = settings
        self.installation = installation
        """Which of several stores beside one Temporal installs."""

    async def install(self, plan: Plan, trigger: Trigger, *, paused: bool, note: str = "") -> None:
        """Create the schedule of a workflow, or make it what the plan and the trigger say now.

        Raises CronError and OperationRefused where the trigger is none that Temporal could keep.
        """
        info = RunInfo(id="", customer_id=plan.customer_id, trigger_type=TRIGGER_TYPE)
        attributes = TypedSearchAttributes(build_search_attributes(plan, info))
        action = self._action(plan, trigger, info, attributes)
        schedule = Schedule(
            action=action,
            spec=build_spec(trigger),
            policy=build_policy(trigger),
            state=ScheduleState(note=note or None, paused=paused),
        )

        async def change(description: ScheduleUpdateInput) -> ScheduleUpdate:
            installed_by = str(await description.description.memo_value(INSTALLATION, ""))
            if installed_by not in ("", self.installation):
                raise OperationRefused(
                    f"the schedule {name!r} was installed from another database",
                    hint="give each a namespace of its own; what a lost database has left is removed by hand",
                )
            before = description.description.schedule.action
            if isinstance(before, ScheduleActionStartWorkflow):
                # One name for ever: Temporal starts nothing twice for a time while the first run goes on.
                action.id = before.id
            return ScheduleUpdate(schedule, attributes)

        name = schedule_id(plan.customer_id, plan.id)
        async with translate_rpc_errors():
            for _ in range(ATTEMPTS):
                if await self._create(name, schedule, attributes) or await self._update(name, change):
                    return
        raise OperationRefused(f"the schedule of {plan.id!r} is being removed and installed by others")

    def _action(
        self, plan: Plan, trigger: Trigger, info: RunInfo, attributes: TypedSearchAttributes
    ) -> ScheduleActionStartWorkflow:
        request = build_run_request(plan, info, input_data=trigger.config.get("input"), trigger={"type": TRIGGER_TYPE})
        return ScheduleActionStartWorkflow(
            WORKFLOW,
            args=[request],
            # Temporal appends the time: the rest keeps others from guessing ids of runs.
            id=f"{quote(plan.id, safe='')[:100]}-{secrets.token_hex(10)}",
            task_queue=self.settings.task_queue,
            typed_search_attributes=attributes,
            static_summary=plan.name[:200] or None,
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
        """Remove the schedule of a workflow, if there is one; runs under way go on."""
        async with translate_rpc_errors():
            try:
                await self.client.get_schedule_handle(schedule_id(customer_id, workflow_id)).delete()
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

    async def pause(self, customer_id: str, workflow_id: str, note: str = "") -> None:
        """Let nothing start until it is unpaused; raises OperationRefused where there is no schedule."""
        async with self._open_handle(customer_id, workflow_id) as handle:
            await handle.pause(note=note or None)

    async def unpause(self, customer_id: str, workflow_id: str, note: str = "") -> None:
        """Let the schedule go on; raises OperationRefused where there is none."""
        async with self._open_handle(customer_id, workflow_id) as handle:
            await handle.unpause(note=note or None)

    async def trigger(self, customer_id: str, workflow_id: str, overlap: str = "allow_all") -> None:
        """Start a run now, as if its time had come, paused or not; a second one in the same second is not made."""
        chosen = parse_overlap_policy(overlap)
        async with self._open_handle(customer_id, workflow_id) as handle:
            await handle.trigger(overlap=chosen)

    async def backfill(
        self,
        customer_id: str,
        workflow_id: str,
        start_at: datetime,
        end_at: datetime,
        overlap: str = "buffer_all",
        *,
        done: Iterable[datetime] = (),
        is_time: Callable[[datetime], bool] = lambda _: True,
    ) -> int:
        """Start what would have started from `start_at` to `end_at`, both included; give how many runs those are.

        Nothing starts for times to come, nor for one for which a run has started: one that Temporal knows, or of
        those `done`, which it may have forgotten. `is_time` tells times as they were written from those at which
        somebody has started a run by hand. Raises OperationRefused where there are more than 1,000 times, and while
        starts of before wait: which times those are for, Temporal does not tell.
        """
        chosen = parse_overlap_policy(overlap)
        after = start_at - MILLISECOND  # Temporal's own range leaves its start out
        end_at = min(end_at, datetime.now(UTC))
        async with self._open_handle(customer_id, workflow_id) as handle:
            description = await handle.describe()
            require_no_pending_starts(description)
            times = await self._list_matching_times(handle.id, after, end_at)
            if len(times) > MAX_BACKFILL or (times and await self._list_matching_times(handle.id, times[-1], end_at)):
                raise OperationRefused(
                    f"more than {MAX_BACKFILL:,} times lie between {start_at} and {end_at}",
                    hint="fill a shorter span at a time",
                )
            # Temporal would start one under the id of the run that has ended, and hide it by that.
            started = {*done, *await self._list_started_times(customer_id, workflow_id, after, times)}
            ran = match_started_times(times, filter(is_time, started), description.schedule.spec.jitter or timedelta())
            spans = [list(part) for fresh, part in groupby(times, lambda time: time not in ran) if fresh]
            before = dict(zip(times, [after, *times], strict=False))
            if spans:
                fills = [ScheduleBackfill(before[part[0]] + MILLISECOND, part[-1], overlap=chosen) for part in spans]
                await handle.backfill(*fills)
        return sum(map(len, spans))

    async def find_run_prefix(self, customer_id: str, workflow_id: str) -> str:
        """Give what the ids of a schedule's runs begin with, before the time; raises OperationRefused without one."""
        async with self._open_handle(customer_id, workflow_id) as handle:
            action = (await handle.describe()).schedule.action
        return f"{action.id}-" if isinstance(action, ScheduleActionStartWorkflow) else ""

    async def _list_started_times(
        self, customer_id: str, workflow_id: str, after: datetime, times: list[datetime]
    ) -> set[datetime]:
        """Give the times for which a run has started, as far as Temporal knows: those that were written."""
        if not times:
            return set()
        parts = [
            f"{WORKFLOW_ID.name} = {quote_literal(workflow_id)}",
            f"{CUSTOMER_ID.name} = {quote_literal(customer_id)}",
            # Where lists are kept in SQLite, times are compared as text: one at the very bound may be left out.
            f"{SCHEDULED_AT.name} BETWEEN '{format_timestamp(after)}'"
            f" AND '{format_timestamp(times[-1] + MILLISECOND)}'",
        ]
        found = self.client.list_workflows(" AND ".join(parts))
        return {one.typed_search_attributes[SCHEDULED_AT] async for one in found}

    async def list_next_times(self, customer_id: str, workflow_id: str, count: int = 10) -> list[datetime]:
        """Give the next times in UTC as Temporal keeps them, with jitter, paused or not.

        Raises OperationRefused where there is no schedule.
        """
        now = datetime.now(UTC)
        async with self._open_handle(customer_id, workflow_id) as handle:
            await handle.describe()  # Temporal tells times of schedules that are gone, too
            return (await self._list_matching_times(handle.id, now, now + LOOKAHEAD))[:count]

    async def _list_matching_times(self, name: str, after: datetime, until: datetime) -> list[datetime]:
        """Ask Temporal for fire times after one and up to the other; it gives the first 1,000."""
        request = ListScheduleMatchingTimesRequest(namespace=self.client.namespace, schedule_id=name)
        request.start_time.FromDatetime(after)
        request.end_time.FromDatetime(until)
        answer = await self.client.workflow_service.list_schedule_matching_times(request, retry=True)
        return [moment.ToDatetime(UTC) for moment in answer.start_time]

    async def list_installed(self) -> AsyncIterator[InstalledSchedule]:
        """Give all schedules of ours in the namespace."""
        async with translate_rpc_errors():
            async for entry in await self.client.list_schedules():
                installed = await _read_entry(entry)
                if installed is not None:
                    yield installed

    @asynccontextmanager
    async def _open_handle(self, customer_id: str, workflow_id: str) -> AsyncIterator[ScheduleHandle]:
        async with translate_rpc_errors():
            try:
                yield self.client.get_schedule_handle(schedule_id(customer_id, workflow_id))
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                raise OperationRefused(
                    f"workflow {workflow_id!r} has no schedule", hint="activate it with a trigger of type schedule"
                ) from error


async def _read_entry(entry: ScheduleListDescription) -> InstalledSchedule | None:
    owner = owner_of(entry.id)
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
