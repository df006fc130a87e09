"""`regress`: the report of the API as a table, as JSON and on the graph."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from orchestrator.cli.client import ApiClient
from orchestrator.cli.failures import UsageError
from orchestrator.cli.regress import regress
from orchestrator.cli.server_address import ServerOptions

FLOW = {
    "id": "order",
    "name": "Order",
    "trigger": {"type": "manual"},
    "nodes": [{"id": "dear", "type": "set", "config": {"a": 1}}, {"id": "done", "type": "end"}],
    "edges": [{"source": "trigger", "target": "dear"}, {"source": "dear", "target": "done"}],
}
PATH = "/api/v1/workflows/order"


def make_report(**more: Any) -> dict[str, Any]:
    parted = {
        "outcome": "other_path",
        "node_id": "dear",
        "text": "`true` became `false`",
        "count": 3,
        "examples": ["order-1", "order-2", "order-3"],
        "before": None,
        "after": None,
        "changed": [],
    }
    cut = parted | {"outcome": "not_judged", "node_id": None, "text": "its record is cut", "count": 1}
    report = {"workflow_id": "order", "version": 0, "summary": "3 of 10 runs differ", "runs": 10, "same": 6}
    return report | {"different": 3, "not_judged": 1, "groups": [parted, cut], "verdicts": []} | more


def connect(report: dict[str, Any], asked: list[Any]) -> ApiClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path == f"{PATH}/regress"
            asked.append(json.loads(request.content))
            return httpx.Response(200, json=report)
        return httpx.Response(200, json={"definition": FLOW} if "versions" in request.url.path else FLOW)

    return ApiClient(ServerOptions(url="http://api.example"), httpx.MockTransport(answer))


def test_differences_are_a_table_and_end_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    with pytest.raises(typer.Exit) as end:
        regress(connect(make_report(), asked), "order", last=50)

    assert (end.value.exit_code, asked) == (1, [{"version": 0, "last": 50}])
    assert capsys.readouterr().out.splitlines() == [
        "3 of 10 runs differ",
        "3\tother_path\tdear\t`true` became `false`\torder-1",
        "1\tnot_judged\t\tits record is cut\torder-1",
    ]


@pytest.mark.parametrize("against", ["draft", "DRAFT", "4"])
def test_no_difference_ends_with_0(against: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    regress(connect(make_report(different=0, groups=[]), asked), "order", against=against, as_json=True)

    assert asked == [{"version": 4 if against == "4" else 0, "last": 200}]
    assert json.loads(capsys.readouterr().out)["different"] == 0


@pytest.mark.parametrize("against", ["draft", "4"])
def test_the_graph_shows_where_runs_part(tmp_path: Path, against: str) -> None:
    path = tmp_path / "order.svg"
    with pytest.raises(typer.Exit):
        regress(connect(make_report(), []), "order", against=against, graph=path)
    picture = path.read_text()

    assert re.findall(r'class="node \w+ bad" data-node="(\w+)"', picture) == ["dear"]
    assert "3 runs: `true` became `false`" in picture


@pytest.mark.parametrize("against", ["0", "newest", "-1"])
def test_another_text_is_not_a_version(against: str) -> None:
    with pytest.raises(UsageError, match="is not a version"):
        regress(connect(make_report(), []), "order", against=against)
