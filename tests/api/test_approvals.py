"""People decide approvals by signed links: GET shows a form, POST decides, once."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, NoReturn

import httpx
import pytest

from api.approval_page import STYLE
from orchestrator.errors import ServerUnavailable
from orchestrator.model.approval_links import ApprovalLink
from orchestrator.service.services import Services
from tests.api.support import APPROVAL_KEY, CLIENT_SECONDS, start_run, wait_for_end, wait_for_status
from tests.temporal.world import wait_until

pytestmark = pytest.mark.temporal

ANN, BOB = "ann@example.com", "bob@example.com"
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["limit"],
    "properties": {
        "limit": {"type": "integer", "title": "Up to", "minimum": 1},
        "why": {"type": "string", "title": "Why <b>so</b>?", "description": 'Is read by "accounting" & others'},
        "urgent": {"type": "boolean"},
        "account": {"enum": ["travel", 7]},
    },
}
TITLE = "Buy <script>alert(1)</script>?"


def make_decision(**config: Any) -> dict[str, Any]:
    return {"type": "wait", "config": {"approval": {"title": TITLE, "assignees": [ANN, BOB], **config}}}


DECISION = {"decision": make_decision(), "after": {"type": "wait", "config": {"event": "go"}}}
EDGES = ("trigger -> decision", "decision -> after")


def make_path(run_id: str, who: str = ANN, node: str = "decision", path: str = "", ago: float = 0.0) -> str:
    made_at = datetime.now(UTC) - timedelta(seconds=ago)
    return f"/approvals/{ApprovalLink(run_id, node, path, who, made_at).sign(APPROVAL_KEY)}"


@pytest.fixture
async def pages(served_api: tuple[Services, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served_api[1], timeout=CLIENT_SECONDS) as client:
        yield client


async def wait_for_approval(api: httpx.AsyncClient, run_id: str, number: int = 1) -> dict[str, Any]:
    async def find_run() -> dict[str, Any] | None:
        run = (await api.get(f"/runs/{run_id}")).json()
        kinds = [wait["kind"] for wait in run["waiting_for"]]
        return run if kinds.count("approval") == number else None

    found: dict[str, Any] = await wait_until(find_run)
    return found


class _Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_a_link_decides_and_the_record_says_who_and_when(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    run_id = await start_run(api, {**DECISION, "decision": make_decision(form=FORM)}, *EDGES)
    run = await wait_for_approval(api, run_id)
    path = make_path(run_id)
    shown = await pages.get(path)
    incomplete = await pages.post(path, data={"approved": "true", "limit": "0", "why": "in a hurry"})
    decided = await pages.post(
        path, data={"approved": "true", "limit": "9", "why": "a\r\nb", "urgent": "true", "account": "7"}
    )
    (wait,) = run["waiting_for"]
    run = await wait_for_status(api, run_id, "waiting")
    output = run["steps"][0]["output_data"]

    assert wait["approval"] == {"title": TITLE, "assignees": [ANN, BOB], "fields": list(FORM["properties"])}
    assert wait["schema"]["required"] == ["approved", "limit"]
    assert (shown.status_code, incomplete.status_code, decided.status_code) == (200, 422, 200)
    assert "limit: must be at least 1" in incomplete.text
    assert "in a hurry" in incomplete.text, "what was typed is kept"
    assert "You have approved" in decided.text
    assert output["payload"] == {"approved": True, "limit": 9, "why": "a\nb", "urgent": True, "account": 7}
    assert (output["by"], output["via"]) == (ANN, "link")
    assert datetime.fromisoformat(output["decided_at"]) <= datetime.now(UTC)


async def test_the_decision_is_in_the_stream_the_explanation_and_the_audit_log(
    api: httpx.AsyncClient, pages: httpx.AsyncClient, services: Services
) -> None:
    run_id = await start_run(api, {"decision": make_decision()}, "trigger -> decision")
    await wait_for_approval(api, run_id)
    await pages.post(make_path(run_id), data={"approved": "false"})
    await wait_for_end(api, run_id)
    stream = (await api.get(f"/runs/{run_id}/stream")).text
    explained = (await api.get(f"/runs/{run_id}/explain")).json()
    audit = (await api.get("/audit", params={"target": run_id})).json()["items"]

    assert f'"by":"{ANN}"' in stream.replace(": ", ":")
    assert f"{ANN} declined" in json.dumps(explained)
    assert ("decideApproval", ANN) in [(entry["operation"], entry["actor"]) for entry in audit]


async def test_a_second_answer_is_told_who_was_first(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    run_id = await start_run(api, DECISION, *EDGES)
    await wait_for_approval(api, run_id)
    mine, other = make_path(run_id), make_path(run_id, BOB)
    first = await pages.post(mine, data={"approved": "true"})
    again = await pages.post(mine, data={"approved": "false"})
    late = await pages.post(other, data={"approved": "false"})
    read = await pages.get(other)

    assert [answer.status_code for answer in (first, again, late, read)] == [200, 409, 409, 409]
    assert "You have answered on" in again.text
    assert f"{ANN} has answered on" in late.text
    assert f"{ANN} has answered on" in read.text


async def test_of_many_answers_at_once_one_counts(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    run_id = await start_run(api, DECISION, *EDGES)
    await wait_for_approval(api, run_id)
    posts = [
        pages.post(make_path(run_id, who), data={"approved": approved})
        for who, approved in ((ANN, "true"), (BOB, "false"), (ANN, "false"), (BOB, "true"))
    ]
    answers = await asyncio.gather(*posts)
    run = await wait_for_status(api, run_id, "waiting")
    output = run["steps"][0]["output_data"]
    accepted = [answer for answer in answers if answer.status_code == 200]

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert ("approved" if output["payload"]["approved"] else "declined") in accepted[0].text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_a_link_decides_nothing(api: httpx.AsyncClient, pages: httpx.AsyncClient, method: str) -> None:
    """Mail servers follow the links in mails."""
    run_id = await start_run(api, DECISION, *EDGES)
    await wait_for_approval(api, run_id)
    answer = await pages.request(method, make_path(run_id) + "?approved=true")
    run = (await api.get(f"/runs/{run_id}")).json()

    assert answer.status_code == 200
    assert run["waiting_for"][0]["kind"] == "approval"


async def test_a_link_works_before_the_approval_is_reached(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    nodes = {"before": {"type": "wait", "config": {"event": "go"}}, "decision": make_decision()}
    run_id = await start_run(api, nodes, "trigger -> before", "before -> decision")
    await wait_for_status(api, run_id, "waiting")
    early = await pages.post(make_path(run_id), data={"approved": "true"})
    again = await pages.post(make_path(run_id, BOB), data={"approved": "false"})
    await api.post(f"/runs/{run_id}/events/go")
    run = await wait_for_end(api, run_id)

    assert early.status_code == 200
    assert "Your answer is recorded" in early.text
    assert again.status_code == 409
    assert run["steps"][1]["output_data"]["payload"] == {"approved": True}


async def test_a_forged_link_says_so(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    run_id = await start_run(api, DECISION, *EDGES)
    path = make_path(run_id)
    answers = [await pages.get(path[:-2]), await pages.post(path[:-2], data={"approved": "true"})]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "not valid" in answers[0].text


async def test_no_log_has_a_link(
    pages: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where there is a mistake beside it, as a mail program makes it, and where a request fails."""

    async def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    path = make_path("some-run")
    with caplog.at_level(logging.DEBUG, "api"):
        answers = [await pages.get(each) for each in (path, f"{path}/", f"{path}%0A", f"{path}/>")]
        answers.append(await pages.put(path))
        monkeypatch.setattr(services.approvals, "open", fail)
        answers.append(await pages.get(path))
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("api")]

    assert [answer.status_code for answer in answers][-1] == 500
    assert len(logged) > len(answers)
    assert [line for line in logged if path.rpartition("/")[2] in line] == []


async def test_a_link_of_somebody_who_is_not_asked_says_so(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    run_id = await start_run(api, DECISION, *EDGES)
    await wait_for_approval(api, run_id)
    answer = await pages.post(make_path(run_id, "eve@example.com"), data={"approved": "true"})

    assert answer.status_code == 403
    assert "eve@example.com is not among the people who are asked" in answer.text


async def test_an_early_answer_of_somebody_who_is_not_asked_is_refused_by_the_run(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    nodes = {"before": {"type": "wait", "config": {"event": "go"}}, "decision": make_decision()}
    run_id = await start_run(api, nodes, "trigger -> before", "before -> decision")
    await wait_for_status(api, run_id, "waiting")
    await pages.post(make_path(run_id, "eve@example.com"), data={"approved": "true"})
    await api.post(f"/runs/{run_id}/events/go")
    run = await wait_for_approval(api, run_id)
    decided = await pages.post(make_path(run_id), data={"approved": "true"})

    assert run["steps"][1]["warnings"] == ["an event 'decision' was refused: eve@example.com is not an assignee"]
    assert decided.status_code == 200


async def test_a_link_expires_with_its_approval(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    decision = make_decision()
    decision["config"]["timeout_seconds"] = 0.1
    run_id = await start_run(
        api, {**DECISION, "decision": decision}, *EDGES[1:], "trigger -> decision", "decision -timeout-> after"
    )
    path = make_path(run_id, ago=60)
    await wait_for_status(api, run_id, "waiting")

    async def find_expired() -> httpx.Response | None:
        answer = await pages.post(path, data={"approved": "true", "wrong": "x"})
        return answer if answer.status_code != 200 else None

    await api.post(f"/runs/{run_id}/events/go")
    await wait_for_end(api, run_id)
    answer = await wait_until(find_expired)

    assert answer.status_code == 410
    assert "expired" in answer.text


async def test_a_link_of_an_earlier_pass_does_not_decide_a_later_one(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    nodes = {
        "decision": make_decision(),
        "again": {"type": "condition", "condition": {"expression": "{{ steps.decision.output.payload.approved }}"}},
    }
    run_id = await start_run(api, nodes, "trigger -> decision", "decision -> again", "again -false-> decision")
    await wait_for_approval(api, run_id)
    old = make_path(run_id, BOB)
    await pages.post(make_path(run_id), data={"approved": "false"})

    async def find_second() -> bool | None:
        run = (await api.get(f"/runs/{run_id}")).json()
        return any(wait["step_id"] == "decision#2" for wait in run["waiting_for"]) or None

    await wait_until(find_second)
    stale = await pages.post(old, data={"approved": "true"})
    fresh = await pages.post(make_path(run_id, BOB), data={"approved": "true"})

    assert (stale.status_code, fresh.status_code) == (409, 200)


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_each_iteration_and_branch_has_links_of_its_own(
    api: httpx.AsyncClient, pages: httpx.AsyncClient, mode: str
) -> None:
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"]], "config": {"mode": mode}},
        "each": {"type": "loop", "collection": 3, "body": ["decision"], "config": {"max_concurrency": 3}},
        "decision": make_decision(),
    }
    run_id = await start_run(api, nodes, "trigger -> fork")
    await wait_for_approval(api, run_id, number=3)
    for index, approved in ((2, "true"), (0, "false"), (1, "true")):
        path = f"fork[0]/each[{index}]"
        assert (await pages.post(make_path(run_id, path=path), data={"approved": approved})).status_code == 200
    run = await wait_for_end(api, run_id)
    decisions = {
        step["path"]: step["output_data"]["payload"]["approved"]
        for step in run["steps"]
        if step["node_id"] == "decision"
    }

    assert decisions == {"fork[0]/each[0]": False, "fork[0]/each[1]": True, "fork[0]/each[2]": True}


async def test_a_link_of_an_ended_run_says_who_decided(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"decision": make_decision()}, "trigger -> decision")
    await wait_for_approval(api, run_id)
    await api.post(f"/runs/{run_id}/events/decision", json={"approved": True})
    run = await wait_for_end(api, run_id)
    answer = await pages.get(make_path(run_id, ago=60))

    assert run["steps"][0]["output_data"]["by"] == "local"
    assert run["steps"][0]["output_data"]["via"] == "api"
    assert answer.status_code == 409
    assert "local has answered" in answer.text


async def test_the_page_escapes_everything_and_needs_no_script(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    run_id = await start_run(api, {**DECISION, "decision": make_decision(form=FORM)}, *EDGES)
    await wait_for_approval(api, run_id)
    answer = await pages.get(make_path(run_id))
    page = _Page(answer.text)
    names = [attributes["name"] for tag, attributes in page.tags if tag in ("input", "select", "textarea")]

    assert "alert(1)" in page.text
    assert "Why <b>so</b>?" in page.text
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "form", "label", "input", "select"),
        *("option", "textarea", "div", "button"),
    }
    assert names == ["limit", "why", "urgent", "account"]
    assert any(attributes.get("name") == "viewport" for tag, attributes in page.tags if tag == "meta")


async def test_the_page_has_a_policy_of_its_own(pages: httpx.AsyncClient) -> None:
    answer = await pages.get("/approvals/nothing")
    policy = answer.headers["content-security-policy"].split("; ")

    assert "form-action 'self'" in policy
    assert "default-src 'none'" in policy
    assert not any(part.startswith("script-src") for part in policy)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert STYLE in answer.text


async def test_a_form_that_is_too_large_or_unreadable_is_refused(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    run_id = await start_run(api, DECISION, *EDGES)
    path = make_path(run_id)
    large = await pages.post(path, content=b"approved=true&why=" + b"x" * 70_000)
    broken = await pages.post(path, content=b"\xff\xfe")

    assert (large.status_code, broken.status_code) == (413, 400)


@pytest.mark.parametrize("sent", ['"\\ud800"', "NaN", "1e999", "[" * 9_000, "true", "9" * 5_000])
async def test_what_is_no_number_is_refused(api: httpx.AsyncClient, pages: httpx.AsyncClient, sent: str) -> None:
    form = {"type": "object", "properties": {"most": {"type": "number"}, "account": {"enum": [1, "a"]}}}
    run_id = await start_run(api, {**DECISION, "decision": make_decision(form=form)}, *EDGES)
    path = make_path(run_id)
    answers = [await pages.post(path, data={"approved": "true", name: sent}) for name in ("most", "account")]
    good = await pages.post(path, data={"approved": "true", "most": "1.5", "account": '"a"'})

    assert [answer.status_code for answer in (*answers, good)] == [422, 422, 200]


@pytest.mark.parametrize("result", [{"approved": True, "decided_at": "today"}, {"decided_at": 7}, ["yes"], None])
async def test_a_link_has_expired_where_an_operator_has_given_a_result(
    api: httpx.AsyncClient, pages: httpx.AsyncClient, result: Any
) -> None:
    run_id = await start_run(api, {"decision": make_decision()}, "trigger -> decision")
    await wait_for_approval(api, run_id)
    path = make_path(run_id, ago=60)
    given = {"kind": "set_result", "node_id": "decision", "result": result}
    await api.post(f"/runs/{run_id}/interventions", json=given)
    await wait_for_end(api, run_id)
    answers = [await pages.get(path), await pages.post(path, data={"approved": "true"})]

    assert [answer.status_code for answer in answers] == [410, 410]


async def test_an_answer_of_which_nothing_is_heard_is_not_called_undecided(
    api: httpx.AsyncClient, pages: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> NoReturn:
        raise ServerUnavailable("Temporal does not respond")

    run_id = await start_run(api, DECISION, *EDGES)
    await wait_for_approval(api, run_id)
    path = make_path(run_id)
    monkeypatch.setattr(services.approvals, "_confirm", fail)
    answer = await pages.post(path, data={"approved": "true"})
    again = await pages.get(path)

    assert (answer.status_code, again.status_code) == (503, 409)
    assert "nothing has been decided" not in answer.text
    assert "open the link again" in answer.text
    assert "You have answered" in again.text


@pytest.mark.parametrize("sender", ["link", "api"])
@pytest.mark.parametrize("mode", ["", "inline", "child"])
async def test_people_are_asked_again_where_a_rerun_comes_to_their_approval_again(
    api: httpx.AsyncClient, pages: httpx.AsyncClient, mode: str, sender: str
) -> None:
    """What they have approved was another request: its input may have changed."""
    fork = {"type": "parallel", "branches": [["decision"], ["after"]], "config": {"mode": mode}}
    run_id = await start_run(
        api, {"fork": fork, **DECISION} if mode else DECISION, *(["trigger -> fork"] if mode else EDGES)
    )
    step_id = "fork[0]/decision" if mode else "decision"
    await wait_for_approval(api, run_id)
    if sender == "link":
        await pages.post(make_path(run_id, path=step_id.rpartition("/")[0]), data={"approved": "true"})
    else:
        await api.post(f"/runs/{run_id}/events/decision", json={"approved": True})
    await api.post(f"/runs/{run_id}/events/go")
    old = await wait_for_end(api, run_id)
    answer = await api.post(f"/runs/{run_id}/rerun", json={"from_node": "fork" if mode else "decision"})
    run = await wait_for_approval(api, answer.json()["id"])

    assert [step["output_data"]["via"] for step in old["steps"] if step["id"] == step_id] == [sender]
    assert [wait["step_id"] for wait in run["waiting_for"] if wait["kind"] == "approval"] == [step_id]
    assert run["status"] in ("waiting", "running")


async def test_an_early_answer_is_taken_over_by_a_rerun(api: httpx.AsyncClient, pages: httpx.AsyncClient) -> None:
    nodes = {"after": DECISION["after"], "decision": make_decision()}
    run_id = await start_run(api, nodes, "trigger -> after", "after -> decision")
    await pages.post(make_path(run_id), data={"approved": "true"})
    await api.post(f"/runs/{run_id}/cancel")
    await wait_for_end(api, run_id)
    rerun_id = (await api.post(f"/runs/{run_id}/rerun", json={})).json()["id"]
    shown = await pages.get(make_path(rerun_id, BOB))
    await api.post(f"/runs/{rerun_id}/events/go")
    run = await wait_for_end(api, rerun_id)

    # Not in the history but in the request of the rerun, as after continue-as-new.
    assert f"{ANN} has answered first" in _Page(shown.text).text
    assert run["status"] == "completed"
    assert run["steps"][-1]["output_data"]["by"] == ANN


async def test_lists_name_the_approval(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, DECISION, *EDGES)

    async def find_row() -> dict[str, Any] | None:
        rows = (await api.get("/runs", params={"reason": "approval"})).json()["items"]
        return next((row for row in rows if row["id"] == run_id), None)

    row = await wait_until(find_row)

    assert (row["status"], row["reason"], row["node_id"]) == ("waiting", "approval", "decision")
    assert row["waiting_for"][0]["approval"]["title"] == TITLE
