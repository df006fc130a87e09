"""Recorded histories: every execution of every golden case and delicate run, as stored by Temporal.

A file in `tests/histories` is `{"case": name, "executions": [{"workflow_id", "events"}]}`; its events are those of
Temporal's JSON export, without the fields that replay ignores. `case` is the name under which it was recorded.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

HISTORIES = Path(__file__).parent / "histories"
UNREAD = frozenset({"taskId", "identity", "requestId", "workerVersion", "stackTrace"})


def write(case: str, name: str, executions: list[tuple[str, str]]) -> None:
    """Write the executions of a case, as workflow id and JSON, the run itself first."""
    kept = [{"workflow_id": one, "events": strip(json.loads(text)["events"])} for one, text in executions]
    HISTORIES.mkdir(exist_ok=True)
    text = json.dumps({"case": case, "executions": kept}, separators=(",", ":"), sort_keys=True)
    (HISTORIES / f"{name}.json").write_text(text + "\n")


def strip(value: Any) -> Any:
    """Drop the fields that replay ignores."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in UNREAD}
    return [strip(item) for item in value] if isinstance(value, list) else value


def read_events(name: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return workflow id and events of each execution in a file."""
    record = json.loads((HISTORIES / f"{name}.json").read_text())
    return [(execution["workflow_id"], execution["events"]) for execution in record["executions"]]


def read_histories() -> Iterator[tuple[str, list[WorkflowHistory]]]:
    """Yield the name of each file and its executions."""
    for path in sorted(HISTORIES.glob("*.json")):
        executions = [
            WorkflowHistory.from_json(workflow_id, {"events": events}) for workflow_id, events in read_events(path.stem)
        ]
        yield path.stem, executions
