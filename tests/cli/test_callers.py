"""`workflows callers` and `republish`, and what is noted when a called workflow changes."""

import json
from typing import Any

import httpx
import pytest

from orchestrator.cli.callers import callers, note_callers, republish
from orchestrator.cli.client import ApiClient
from orchestrator.cli.server_address import ServerOptions


def make_caller(name: str, holds: int, *, pinned: bool = False, latest: bool = False) -> dict[str, Any]:
    outdated = holds < 3 and not pinned and not latest
    described = {"workflow_id": name, "version": 7, "holds": holds, "pinned": pinned}
    return {**described, "latest": latest, "outdated": outdated}


LISTED = [
    make_caller("old", 1),
    make_caller("new", 3),
    make_caller("strict", 2, pinned=True),
    make_caller("live", 2, latest=True),
]


def connect(posted: list[Any]) -> ApiClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            assert request.url.path == "/api/v1/workflows/price/callers"
            return httpx.Response(200, json={"workflow_id": "price", "version": 3, "callers": LISTED})
        posted.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"id": "old", "version": 8})

    return ApiClient(ServerOptions(url="http://api.example"), httpx.MockTransport(answer))


def test_callers_are_listed_with_the_version_that_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    callers(connect([]), "price")

    assert capsys.readouterr().out.splitlines() == [
        "old\t7\t1\toutdated",
        "new\t7\t3\tnewest",
        "strict\t7\t2\tasks for this version",
        "live\t7\t2\ttakes the newest at each start",
    ]


def test_republishing_publishes_the_outdated_callers_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    posted: list[Any] = []
    republish(connect(posted), "price")

    assert posted == [("/api/v1/workflows/old/rollback", {"version": 7})]
    assert capsys.readouterr().out == "published again: old (version 8)\n"


@pytest.mark.parametrize(
    ("archived", "noted"),
    [
        (False, ["old version 7 still runs version 1 of it",
                 "publish them again with: orchestrator workflows republish price"]),
        (True, [f"{name} version 7 still runs version {held} of it"
                for name, held in (("old", 1), ("new", 3), ("strict", 2))]
         + ["live version 7 still runs the newest version of it"]),
    ],
)  # fmt: skip
def test_a_change_notes_its_callers(archived: bool, noted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    note_callers({"id": "price", "callers": LISTED}, archived=archived)

    assert capsys.readouterr().err.splitlines() == noted
