"""`replay`: histories from the server and from files."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import write_greeting

pytestmark = pytest.mark.temporal
STARTED = '{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}]}'
"""Without attributes, such as a run id."""


async def test_a_history_replays_from_the_server_and_from_a_file(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", write_greeting(tmp_path), "--json")).out)["id"]
    kept = tmp_path / "history.json"
    live = await dev("replay", run_id, "--save", kept)
    from_file = await dev("replay", kept)

    assert (live.code, from_file.code) == (0, 0)
    assert from_file.out == f"{kept} replays\n"


async def test_a_history_that_the_code_contradicts_does_not_replay(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", write_greeting(tmp_path), "--json")).out)["id"]
    kept = tmp_path / "history.json"
    await dev("replay", run_id, "--save", kept)
    history = json.loads(kept.read_text())
    *others, last = history["events"]
    assert last["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    timer = {"eventId": last["eventId"], "eventType": "EVENT_TYPE_TIMER_STARTED", "eventTime": last["eventTime"]}
    timer["timerStartedEventAttributes"] = {"timerId": "1", "startToFireTimeout": "1s"}
    kept.write_text(json.dumps({"events": [*others, timer]}))
    done = await dev("replay", kept)

    assert done.code == 1
    assert done.out.startswith(f"{kept} does not replay: ")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"events": []}', '{"events": 7}', STARTED])
def test_a_file_that_is_no_history_is_bad_usage(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    done = InProcess({})("replay", path)

    assert done.code == 2
    assert "Traceback" not in done.err
