"""Record histories of golden cases and of delicate runs: `python -m tests.temporal.record_histories`.

Without arguments it records those that have none yet; with parts of names, all that have one of these in their name
(`continued`, `race:`); with `--all`, every one. Record again only what a correction changes: recorded histories
represent runs in production, which must keep replaying.
"""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import Client

from orchestrator.temporal.devserver import run_dev_server
from tests import histories
from tests.golden import Case, list_differences
from tests.temporal.delicate_runs import DELICATE, SUGGESTED_AT, Delicate, find_problems, run_delicate
from tests.temporal.golden_runs import Golden, list_recorded_cases, make_slug
from tests.temporal.world import World, open_world

AT_ONCE = 8
ALL = "--all"


async def record(wanted: Sequence[str]) -> list[str]:
    """Run the cases and write their histories. Return why others have not been written: a run ended unexpectedly."""

    def is_wanted(name: str) -> bool:
        if wanted:
            return ALL in wanted or any(part in name for part in wanted)
        return not (histories.HISTORIES / f"{make_slug(name)}.json").exists()

    failures: list[str] = []
    if golden := [case for case in list_recorded_cases() if is_wanted(case.name)]:
        with tempfile.TemporaryDirectory() as home:
            async with run_dev_server(Path(home)) as server, open_world(server) as world:
                failures += await record_golden(world, golden)
    if delicate := [case for case in DELICATE if is_wanted(case.name)]:
        config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
        with tempfile.TemporaryDirectory() as home:
            async with run_dev_server(Path(home), dynamic_config=config) as server, open_world(server) as world:
                room = asyncio.Semaphore(AT_ONCE)
                for problems in await asyncio.gather(*(record_delicate(world, case, room) for case in delicate)):
                    failures += problems
    return failures


async def record_golden(world: World, cases: Sequence[Case]) -> list[str]:
    failures = []
    golden = Golden(world, AT_ONCE)
    golden.begin(list(cases))
    for case in cases:
        run = await golden.run_to_end(case)
        if differences := list_differences(case, run.model_dump(mode="json"), virtual=False):
            failures.append(f"{case.name}: {differences}")
            continue
        histories.write(case.name, make_slug(case.name), await list_executions(world.client, run.id))
        print(case.name)
    return failures


async def record_delicate(world: World, case: Delicate, room: asyncio.Semaphore) -> list[str]:
    async with room:
        ids = await run_delicate(world, case)
        executions = [each for run_id in ids for each in await list_executions(world.client, run_id)]
        if problems := find_problems(case, [(name, json.loads(history)["events"]) for name, history in executions]):
            return [f"{case.name}: {problem}" for problem in problems]
        histories.write(case.name, make_slug(case.name), executions)
        print(case.name)
        return []


async def list_executions(client: Client, workflow_id: str) -> list[tuple[str, str]]:
    """Return workflow id and history of every execution of a run, including continuations and children."""
    executions: list[tuple[str, str]] = []
    waiting: list[tuple[str, str | None]] = [(workflow_id, None)]
    while waiting:
        name, run_id = waiting.pop(0)
        if run_id is None:
            run_id = await find_first_run(client, name)
        history = await client.get_workflow_handle(name, run_id=run_id).fetch_history()
        executions.append((name, history.to_json()))
        for event in history.events:
            if event.HasField("child_workflow_execution_started_event_attributes"):
                child = event.child_workflow_execution_started_event_attributes.workflow_execution
                waiting.append((child.workflow_id, child.run_id))
            if event.HasField("workflow_execution_continued_as_new_event_attributes"):
                after = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                waiting.append((name, after))
    return executions


async def find_first_run(client: Client, workflow_id: str) -> str:
    """Return the run id of the first execution."""
    described = await client.get_workflow_handle(workflow_id).describe()
    return described.raw_description.workflow_execution_info.first_run_id


if __name__ == "__main__":
    logging.getLogger("temporalio").setLevel(logging.ERROR)  # cases fail on purpose
    sys.exit("\n".join(asyncio.run(record(sys.argv[1:]))) or None)
