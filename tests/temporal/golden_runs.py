"""Golden cases as concurrent runs on Temporal."""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.model.run import ENDED, Run
from orchestrator.planner.planner import check
from tests.golden import Case, load_cases, spread_loops
from tests.temporal.world import World

AT_ONCE = 8
SECONDS = 180.0
POLL_SECONDS = 0.05


def list_cases() -> list[Case]:
    """Return the cases that a server with a real clock can run."""
    return [case for case in load_cases() if case.temporal and not case.time_skipping and "refused" not in case.expect]


RECORDED_IN_BATCHES = (
    "an item of a concurrent loop that failed is undone alone",
    "an operator decides in an iteration while other iterations work",
    "concurrent iterations keep their order",
    "what a concurrent loop evaluates for its iterations warns on the loop's step",
    "a concurrent loop with more failures than it may have cancels what is under way",
)


def list_recorded_cases() -> list[Case]:
    """Return the cases whose histories are recorded: all, and some of them with their loops in batches."""
    cases = list_cases()
    chosen = [case for case in cases if case.name.partition(": ")[2] in RECORDED_IN_BATCHES]
    return [*cases, *(spread for case in chosen if (spread := spread_loops(case)) is not None)]


SLOWED: Mapping[str, float] = {
    "the loser of a race is undone": 10,
    "a branch that had failed before the join was reached is undone": 10,
    "what fail_fast cancels is undone where the failure is handled": 10,
    "a branch that exceeds the time limit is undone": 10,
    "the iteration that exceeds the time limit of a loop is undone": 10,
    "a run that exceeds its timeout is undone": 10,
    "a loop that exceeds its timeout takes its error edge": 6,
    "a parallel that exceeds its timeout is skipped": 10,
    "a waiting branch loses the race against a delay": 40,
    "a number joins that many branches": 40,
    "an end with outcome failed in a branch fails the parallel": 40,
    "of two events that arrive in the same moment the first one decides a race": 20,
    "a branch of a race that has reached its end is completed": 20,
    "each inline branch gets its own copy of an event": 10,
    "an inline branch in one iteration and a wait in another": 6,
    "a child branch in one iteration and a wait in another": 6,
    "an approval that nobody decides reminds each assignee": 3,
    "an approval that is decided reminds nobody any longer": 8,
    "a node that was added behind a delay runs when that ends": 10,
    "what the run has done is undone, also where the version has it no longer": 10,
    "ticket_escalation ends when someone takes the ticket": 10,
    "approval_with_timeout buys what is approved": 10,
}
"""By the beginning of its name, how much slower a case passes on Temporal: there, work that has to be done before a
delay or a time limit is over may take seconds on a busy machine."""
DURATIONS = ("seconds", "at")
"""Ends of the names of durations, in definitions, inputs and events."""


def slow_down(case: Case) -> Case:
    """Return a case with longer delays and time limits, where it is in `SLOWED`."""
    name = case.name.partition(": ")[2]
    factor = next((factor for beginning, factor in SLOWED.items() if name.startswith(beginning)), 1.0)
    if factor == 1:
        return case
    changed = {part: _multiply(getattr(case, part), factor) for part in ("definition", "workflows", "events", "move")}
    return replace(case, input=_multiply(case.input, factor), **changed)


def _multiply(part: Any, factor: float) -> Any:
    """Return a part of a case with its durations multiplied."""
    if isinstance(part, list):
        return [_multiply(each, factor) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: value * factor
        if name.endswith(DURATIONS) and isinstance(value, int | float) and not isinstance(value, bool)
        else _multiply(value, factor)
        for name, value in part.items()
    }


def make_slug(name: str) -> str:
    """Turn the name of a case into a file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Golden:
    """Runs each case once."""

    def __init__(self, world: World, at_once: int = AT_ONCE) -> None:
        self.world = world
        self._slots, self._slowed_slots = asyncio.Semaphore(at_once), asyncio.Semaphore(3 * at_once)
        self._tasks: dict[str, asyncio.Task[Run]] = {}

    def begin(self, wanted: list[Case]) -> None:
        """Start all cases, a few at a time; more of those that are slowed down, since they mostly wait."""
        for case in wanted:
            slowed = slow_down(case)
            slots = self._slots if slowed is case else self._slowed_slots
            self._tasks[case.name] = asyncio.create_task(self._run(slowed, slots))

    async def run_to_end(self, case: Case) -> Run:
        """Wait for the run of a case and return its document."""
        return await self._tasks[case.name]

    async def close(self) -> None:
        """Cancel the runs that are left."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, case: Case, slots: asyncio.Semaphore) -> Run:
        async with slots, asyncio.timeout(SECONDS):
            customer, _ = self.world.script(case.actions, f"golden {case.name}")
            plan = case.plan(customer_id=customer)
            run_id = await self.world.start(plan, case.input, run_id=make_slug(case.name))
            sent, moved = asyncio.Event(), asyncio.Event()
            helpers = [
                self._send(run_id, case, sent, moved),
                self._resolve(run_id, list(case.resolutions)),
                self._repair(run_id, case.repairs),
            ]
            if case.move is not None:
                helpers.append(self._move(run_id, case, customer, sent, moved))
            run, *_ = await asyncio.gather(self.world.runs.reader.wait_for_result(run_id), *helpers)
            return run

    async def _send(self, run_id: str, case: Case, sent: asyncio.Event, moved: asyncio.Event) -> None:
        """Send each event at its time, but after those before it, and after an earlier move, also to a slow run.

        `sent` is set when those before the move are sent.
        """
        started = asyncio.get_running_loop().time()
        for event in sorted(case.events, key=lambda event: float(event.get("at", 0))):
            at = event.get("at", 0)
            await asyncio.sleep(started + at - asyncio.get_running_loop().time())
            if case.move is not None and at > case.move["at"]:
                sent.set()
                await moved.wait()
            with contextlib.suppress(OperationRefused):  # the run has ended already, which some cases expect
                await self.world.runs.send_event(
                    run_id, event["name"], event.get("payload"), event_key=event.get("key")
                )
        sent.set()

    async def _repair(self, run_id: str, requests: list[dict[str, Any]]) -> None:
        """Ask for each repair from its time on until it is accepted, in order, as long as the run lasts."""
        started = asyncio.get_running_loop().time()
        for request in requests:
            wanted = dict(request)
            await asyncio.sleep(started + wanted.pop("at", 0) - asyncio.get_running_loop().time())
            while not await self._try_repair(run_id, wanted):
                if (await self.world.runs.reader.read_document(run_id)).status in ENDED:
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _move(self, run_id: str, case: Case, customer: str, sent: asyncio.Event, moved: asyncio.Event) -> None:
        """Move a run to another version, once it waits at the time of that; some cases expect that it is refused."""
        move = case.move or {}
        definition = {**move["definition"], "customer_id": customer}
        request = MigrationRequest(check(definition, workflows=case.workflows).require(), move["map"])
        await asyncio.sleep(move["at"])
        await sent.wait()
        while (await self.world.runs.reader.read_document(run_id)).status != "waiting":
            await asyncio.sleep(POLL_SECONDS)
        with contextlib.suppress(OperationRefused):
            await self.world.runs.migrate(run_id, request)
        moved.set()

    async def _try_repair(self, run_id: str, request: dict[str, Any]) -> bool:
        try:
            await self.world.runs.repair(run_id, request)
        except (OperationRefused, RunNotFound, ServerUnavailable):
            return False
        return True

    async def _resolve(self, run_id: str, resolutions: list[dict[str, Any]]) -> None:
        """Send each resolution when its node waits for one."""
        while resolutions:
            try:
                run = await self.world.runs.reader.read_document(run_id)
            except RunNotFound:
                await asyncio.sleep(POLL_SECONDS)
                continue
            if run.status in ENDED:
                return
            waiting = {wait["node_id"] for wait in run.waiting_for if wait["kind"] == "operator"}
            resolution = next((resolution for resolution in resolutions if resolution["node_id"] in waiting), None)
            if resolution is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            resolutions.remove(resolution)
            options = {name: resolution[name] for name in ("parameters", "value", "target") if name in resolution}
            await self.world.runs.resolve(run_id, resolution["node_id"], resolution["action"], **options)
