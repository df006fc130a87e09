"""Record the histories of golden cases that have none: `python -m tests.temporal.record_histories`.

With `--all`, record every case again. Do so only at a release: recorded histories represent runs in production, which
must keep replaying.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from orchestrator.temporal.devserver import run_dev_server
from tests import histories
from tests.golden import list_differences
from tests.temporal.golden_runs import Golden, list_cases, make_slug
from tests.temporal.world import open_world


async def record(only_new: bool) -> None:
    """Run the cases and write their histories; stops at a case that does not end as expected."""
    chosen = [
        case
        for case in list_cases()
        if not only_new or not (histories.HISTORIES / f"{make_slug(case.name)}.json").exists()
    ]
    with tempfile.TemporaryDirectory() as home:
        async with run_dev_server(Path(home)) as server, open_world(server) as world:
            golden = Golden(world)
            golden.begin(chosen)
            for case in chosen:
                run = await golden.run_to_end(case)
                if differences := list_differences(case, run.model_dump(mode="json"), virtual=False):
                    raise SystemExit(f"{case.name}: {differences}")
                histories.write(case.name, make_slug(case.name), await list_executions(world.client, run.id))
                print(case.name)


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
    asyncio.run(record("--all" not in sys.argv))
