"""The client of the API, against answers that a real one gives rarely."""

import os

import httpx
import pytest

from orchestrator.cli import client
from orchestrator.cli.api_command import MAX_MATCHES, complete_id
from orchestrator.cli.client import ApiClient
from orchestrator.cli.failures import NO_SERVER, USAGE, ApiError, NoServerError, UsageError, get_exit_code
from orchestrator.cli.server_address import ServerOptions

RUN = {"id": "r", "workflow_id": "w", "workflow_version": 1, "status": "running"}
ENDED = {**RUN, "status": "completed", "completed_at": "2026-01-01T00:00:00Z"}


def make_client(*answers: httpx.Response | Exception, key: str | None = None) -> ApiClient:
    """A client that gets these answers, one after another."""
    pending = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        one = pending.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return ApiClient(ServerOptions(url="http://api.example", key=key), httpx.MockTransport(answer))


def make_problem(status: int, code: str, **more: object) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "no", **more}, headers={"retry-after": "0"})


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "POLL_SECONDS", 0)
    monkeypatch.setattr(client, "MAX_POLL_SECONDS", 0)
    monkeypatch.delenv("ORCHESTRATOR_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(404, "run_not_found", USAGE), (403, "forbidden", USAGE), (503, "busy", NO_SERVER), (500, "internal", NO_SERVER)],
)
def test_a_refusal_has_the_exit_code_of_its_code_or_status(status: int, code: str, exit_code: int) -> None:
    with pytest.raises(ApiError) as raised:
        make_client(make_problem(status, code)).get("/runs")

    assert (raised.value.code, raised.value.message, get_exit_code(raised.value)) == (code, "no", exit_code)


def test_all_problems_of_a_document_are_kept() -> None:
    wrong = {"severity": "error", "code": "unknown_type", "path": "/nodes/0/type", "message": "m", "hint": None}
    with pytest.raises(ApiError) as raised:
        make_client(make_problem(422, "definition_invalid", errors=[wrong] * 2)).post("/workflows", {})

    assert [problem.to_json() for problem in raised.value.problems] == [wrong] * 2


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ApiError) as raised:
        make_client(make_problem(401, "unauthorized", hint="send a header")).get("/runs")

    assert raised.value.message == "the API at http://api.example: no"
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("set ORCHESTRATOR_API_KEY")


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden")])
@pytest.mark.parametrize("key", [None, "ork_read"])
def test_who_may_not_manage_keys_learns_how_to_create_one_that_may(status: int, code: str, key: str | None) -> None:
    with pytest.raises(ApiError) as raised:
        make_client(make_problem(status, code), key=key).get("/keys")

    assert raised.value.hint is not None
    assert raised.value.hint.endswith("`orchestrator keys create NAME --scopes admin --database`")


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404, text="<html>"), httpx.Response(200, text="<html>"), httpx.Response(404, json={"detail": 1})],
)
def test_something_else_at_the_address_is_not_an_api(answer: httpx.Response) -> None:
    with pytest.raises(NoServerError, match=r"http://api\.example \(from --url\) is not the API of an orchestrator"):
        make_client(answer).get("/runs")


def test_a_request_over_the_rate_limit_is_sent_again() -> None:
    assert make_client(make_problem(429, "too_many_requests"), httpx.Response(200, json=1)).get("/runs") == 1


def test_pages_are_read_up_to_the_limit() -> None:
    pages = [httpx.Response(200, json={"items": [1, 2], "next_cursor": "c"}) for _ in range(2)]

    assert make_client(*pages).list_items("/runs", 4) == [1, 2, 1, 2]


def test_a_run_is_followed_over_an_outage_of_its_api() -> None:
    answers = [
        httpx.Response(200, json=RUN),
        httpx.ConnectError("refused"),
        make_problem(503, "server_unavailable"),
        httpx.Response(200, json={**ENDED, "a_field_of_a_newer_server": 1}),
    ]
    seen = [run and run.status for run in make_client(*answers).watch_run("r")]

    assert seen == ["running", None, "completed"]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert "http_proxy" in os.environ
    local = ApiClient(ServerOptions(url="http://127.0.0.1:2"))

    assert local._http.trust_env is False
    assert ApiClient(ServerOptions(url="http://api.example"))._http.trust_env is True


def find_ids(*ids: str) -> httpx.Response:
    return httpx.Response(200, json={"items": [{"id": each} for each in ids], "next_cursor": None})


def answer_prefix(*ids: str, prefix: str = "order-7k") -> dict[str, str] | None:
    """What `order-7k` is completed to where these runs exist."""
    error = ApiError("run_not_found", "there is no run", status=404)
    return complete_id(make_client(find_ids(*ids)), {"run_id": prefix}, error, only_reads=False)


def test_the_beginning_of_one_id_stands_for_it() -> None:
    assert answer_prefix("order-7k3m9q2x") == {"run_id": "order-7k3m9q2x"}
    assert answer_prefix() is None
    assert answer_prefix("order-7k", "order-7k3m") is None, "it is there: something else was not found"
    with pytest.raises(UsageError, match="is the beginning of several IDs: order-7k1, order-7k2"):
        answer_prefix("order-7k1", "order-7k2")


def test_a_full_page_of_one_id_does_not_prove_that_it_is_unique() -> None:
    """An administrator lists the workflows of all customers, of which many may have the same ID."""
    with pytest.raises(UsageError, match="is the beginning of several IDs: order-7k1, …"):
        answer_prefix(*["order-7k1"] * MAX_MATCHES)


def complete_workflow(*ids: str, only_reads: bool) -> tuple[dict[str, str] | None, str | None]:
    """What `stock` is completed to where these workflows exist, and the hint of the error."""
    error = ApiError("workflow_not_found", "there is no workflow 'stock'", status=404)
    completed = complete_id(make_client(find_ids(*ids)), {"workflow": "stock"}, error, only_reads=only_reads)
    return completed, error.hint


def test_only_commands_that_read_complete_the_id_of_a_workflow() -> None:
    assert complete_workflow("stock_check", only_reads=True) == ({"workflow": "stock_check"}, None)
    assert complete_workflow("stock_check", only_reads=False) == (None, "did you mean `stock_check`?")
    assert complete_workflow("stock_a", "stock_b", only_reads=False) == (None, "did you mean `stock_a` or `stock_b`?")
    assert complete_workflow(only_reads=False) == (None, None)


def test_a_key_that_may_not_list_gets_the_error_of_its_command() -> None:
    error = ApiError("workflow_not_found", "there is no workflow 'stock'", status=404)
    client = make_client(make_problem(403, "forbidden"))

    assert complete_id(client, {"workflow": "stock"}, error, only_reads=False) is None
