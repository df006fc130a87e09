"""The wrapper: secrets, validation, results, errors, cancellation."""

import asyncio
import importlib
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from temporalio.exceptions import ApplicationError

from activities import BUILTIN, load_builtin_registry, load_registry
from activities.http import MAX_BODY_IN_ERROR
from activities.registry import ActionContext, ActionError, ActionFailed, ActionSpec, Registry, action
from activities.resources import Resources
from activities.runtime import heartbeat_interval, run_action
from orchestrator.model.approval_links import parse_token
from orchestrator.model.described_action import DescribedAction
from orchestrator.settings import Settings
from tests.activities.conftest import Caller, Web, answer, make_environment

SECRET = "s3cret-t0ken"


class Given(BaseModel):
    value: Any = None


async def attempt(function: Any, parameters: Any = None, **sent: Any) -> Any:
    spec: ActionSpec = function.__orchestrator_action__
    payload = {"parameters": parameters or {}, "context": {"node_id": "n"}, **sent}
    return await make_environment().run(run_action, spec, payload, Resources(Settings()))


def secret_settings(tmp_path: Any) -> dict[str, Any]:
    path = tmp_path / "secrets.json"
    path.write_text(f'{{"c": {{"token": "{SECRET}"}}}}')
    return {"secrets_file": path}


async def test_secrets_reach_the_server_and_nothing_else(web: Web, make_caller: Any, tmp_path: Any) -> None:
    web.routes["/echo"] = lambda seen: answer(200, {"you sent": seen.headers["authorization"]})
    call = make_caller(**secret_settings(tmp_path))
    parameters = {"url": f"{web.url}/echo", "auth": {"token": None}}

    result = await call("http.request", parameters, secrets={"/auth/token": [{"expression": "secrets.token"}]})

    assert web.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(result)
    assert "[secret]" in str(result)


async def test_secrets_are_in_no_error(web: Web, make_caller: Any, tmp_path: Any) -> None:
    web.routes["/echo"] = lambda seen: answer(400, {"bad": seen.headers["x-key"]})
    call = make_caller(**secret_settings(tmp_path))
    secrets = {"/headers/x-key": ["k=", {"expression": "secrets.token"}]}

    failure = await call.failure(
        "http.request", {"url": f"{web.url}/echo", "headers": {"x-key": None}}, secrets=secrets
    )
    wrong = await call.failure("http.request", {"url": None}, secrets={"/url": [{"expression": "secrets.token"}]})

    assert web.seen[0].headers["x-key"] == f"k={SECRET}"
    assert SECRET not in str(failure) + str(failure.details)
    assert SECRET not in str(wrong) + str(wrong.details)


async def test_what_pipes_make_of_a_secret_does_not_come_back(web: Web, make_caller: Any, tmp_path: Any) -> None:
    web.routes["/echo"] = lambda seen: answer(200, {"sent": seen.headers["x-key"]})
    call = make_caller(**secret_settings(tmp_path))
    secrets = {"/headers/x-key": [{"expression": 'secrets.token | replace("-", "+") | slice(0, 9)'}]}

    result = await call("http.request", {"url": f"{web.url}/echo", "headers": {"x-key": None}}, secrets=secrets)

    assert web.seen[0].headers["x-key"] == "s3cret+t0"
    assert result["body"] == {"sent": "[secret]"}


async def test_basic_authorization_does_not_come_back(web: Web, make_caller: Any, tmp_path: Any) -> None:
    web.routes["/echo"] = lambda seen: answer(200, {"sent": seen.headers["authorization"]})
    call = make_caller(**secret_settings(tmp_path))
    parameters = {"url": f"{web.url}/echo", "auth": {"username": "u", "password": None}}

    result = await call("http.request", parameters, secrets={"/auth/password": [{"expression": "secrets.token"}]})

    assert "[secret]" in result["body"]["sent"]
    assert web.seen[0].headers["authorization"][-8:] not in result["body"]["sent"]


async def test_a_secret_at_a_cut_does_not_show_in_part(web: Web, make_caller: Any, tmp_path: Any) -> None:
    body = "x" * (MAX_BODY_IN_ERROR - 5) + SECRET
    web.routes["/echo"] = lambda _: answer(400, body.encode(), kind="text/plain")
    call = make_caller(**secret_settings(tmp_path))
    secrets = {"/headers/x-key": [{"expression": "secrets.token"}]}

    failure = await call.failure(
        "http.request", {"url": f"{web.url}/echo", "headers": {"x-key": None}}, secrets=secrets
    )

    assert SECRET[:4] not in str(failure.details)


async def test_secrets_are_in_no_log_line(make_caller: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    call = make_caller(**secret_settings(tmp_path))
    with caplog.at_level(logging.DEBUG):
        await call("log.message", {"message": None}, secrets={"/message": ["<", {"expression": "secrets.token"}]})

    assert "<[secret]" in caplog.text
    assert SECRET not in caplog.text


async def test_a_host_that_holds_a_secret_is_redacted(make_caller: Any, tmp_path: Any) -> None:
    call = make_caller(**secret_settings(tmp_path))
    secrets = {"/url": ["http://", {"expression": "secrets.token | upper"}, ".invalid/"]}

    failure = await call.failure("http.request", {"url": None}, secrets=secrets)

    assert SECRET not in f"{failure} {failure.details}".lower()


async def test_a_missing_secret_is_named(call: Caller) -> None:
    failure = await call.failure("http.request", {"url": None}, secrets={"/url": [{"expression": "secrets.nowhere"}]})

    assert failure.type == "validation_error"
    assert "nowhere" in str(failure)


async def test_all_invalid_parameters_are_reported_at_once(call: Caller) -> None:
    failure = await call.failure("email.send", {"to": ["nobody"], "subjekt": 1})

    paths = [problem["path"] for problem in failure.details[0]["details"]["problems"]]
    assert paths == ["/to", "/subjekt"]
    assert failure.non_retryable


async def test_an_object_in_a_text_parameter_gets_a_hint(call: Caller) -> None:
    failure = await call.failure("log.message", {"message": {"total": 5}})

    assert failure.message == (
        "invalid parameters for log.message: /message: must be text, not an object "
        "(to pass an object or a list as text, use `| json`)"
    )


@action("test.plain")
async def plain(parameters: Given) -> Any:
    """Return the parameters."""
    return parameters.value


@action("test.broken")
async def broken(parameters: Given) -> Any:
    """Fail with the error in the parameters."""
    raise parameters.value


@pytest.mark.parametrize(
    ("value", "result"), [(1, {"result": 1}), ([1], {"result": [1]}), ({"a": 1}, {"a": 1}), (None, {})]
)
async def test_results_are_objects(value: Any, result: Any) -> None:
    assert await attempt(plain, {"value": value}) == result


@pytest.mark.parametrize("value", [float("nan"), object(), {"x": b"y"}])
async def test_a_result_that_is_not_json_fails(value: Any) -> None:
    with pytest.raises(ApplicationError) as caught:
        await attempt(plain, {"value": value})

    assert caught.value.type == "action_error"
    assert caught.value.non_retryable


async def test_a_result_too_large_for_temporal_fails() -> None:
    with pytest.raises(ApplicationError, match="1,800,000"):
        await attempt(plain, {"value": "x" * 1_900_000})


def nest(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [201, 300, 5_000])
async def test_a_result_nested_too_deeply_fails_and_is_not_retried(levels: int) -> None:
    with pytest.raises(ApplicationError, match="200 levels") as caught:
        await attempt(plain, {"value": {"a": nest(levels)}})

    assert caught.value.type == "action_error"
    assert caught.value.non_retryable


async def test_half_of_a_surrogate_pair_is_replaced_with_a_warning() -> None:
    """Neither protobuf nor the API can encode it: a run that held one could never be read again."""
    result = await attempt(plain, {"value": {"a\udc00": ["\ud800!"]}})

    assert result["result"] == {"a\ufffd": ["\ufffd!"]}
    assert "U+FFFD" in result["$warnings"][0]


class Texts(BaseModel):
    text: str = ""
    texts: dict[str, list[str]] = {}
    either: "Texts | int | None" = None


@action("test.texts")
async def texts(parameters: Texts) -> Texts:
    """Return the parameters."""
    return parameters


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ({"text": 7}, {"text": "7"}),
        ({"text": 2.5, "texts": {"a": [True, "x", 1]}}, {"text": "2.5", "texts": {"a": ["true", "x", "1"]}}),
        ({"either": {"text": False}}, {"either": {"text": "false", "texts": {}, "either": None}}),
        ({"either": 3}, {"either": 3}),
    ],
)
async def test_text_parameters_take_numbers_and_booleans(sent: Any, taken: Any) -> None:
    assert (await attempt(texts, sent)).items() >= taken.items()


@pytest.mark.parametrize("value", [None, [], {}, ["x"]])
async def test_text_parameters_take_nothing_else(value: Any) -> None:
    with pytest.raises(ApplicationError, match="must be text"):
        await attempt(texts, {"text": value})


class Told(BaseModel):
    text: Any
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@action("test.return_model")
async def return_model(parameters: Given) -> Told:
    """Return a model."""
    return Told(text=parameters.value)


async def test_models_are_held_to_the_same_rule() -> None:
    replaced = await attempt(return_model, {"value": "\udc00"})
    with pytest.raises(ApplicationError, match="200 levels") as caught:
        await attempt(return_model, {"value": nest(300)})

    assert replaced["result"] == {"text": "\ufffd", "at": "2026-01-01T00:00:00Z"}
    assert len(replaced["$warnings"]) == 1
    assert caught.value.non_retryable


@pytest.mark.parametrize("details", [{"a": float("nan")}, {"a": nest(5_000)}, {"a": "x" * 200_000}])
async def test_details_that_cannot_be_stored_are_dropped(details: dict[str, Any]) -> None:
    with pytest.raises(ApplicationError, match="no") as caught:
        await attempt(broken, {"value": ActionFailed("no\ud800", details=details)})

    assert "dropped" in caught.value.details[0]["details"]


@pytest.mark.parametrize(
    ("error", "error_type", "non_retryable"),
    [
        (ActionFailed("no"), "action_error", False),
        (ActionFailed("no", recoverable=False), "action_error", True),
        (ActionFailed("no", error_type="execution_error"), "execution_error", False),
        (ActionFailed("no", error_type="validation_error"), "validation_error", True),
        (ActionFailed("no", error_type="my own"), "unknown", False),
        (TimeoutError(), "timeout_error", False),
        (RuntimeError("boom"), "unknown", False),
    ],
)
async def test_errors_have_types(error: Exception, error_type: str, non_retryable: bool) -> None:
    with pytest.raises(ApplicationError) as caught:
        await attempt(broken, {"value": error})

    assert caught.value.type == error_type
    assert caught.value.non_retryable is non_retryable
    assert caught.value.details[0]["attempt"] == 1


async def test_a_later_attempt_reports_its_number(call: Caller) -> None:
    result = await call("data.transform", {"expression": "a", "data": {"a": 1}}, attempt=3)

    assert result == {"$attempt": 3, "result": {"result": 1}}


async def test_cancelling_reaches_the_action() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    @action("test.long")
    async def long(parameters: Given) -> None:
        """Wait for ever."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = asyncio.create_task(attempt(long))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert stopped.is_set()


async def test_long_actions_heartbeat() -> None:
    beats: list[Any] = []
    environment = make_environment(heartbeat_timeout=timedelta(seconds=0.03))
    environment.on_heartbeat = lambda *details: beats.append(details)
    enough = asyncio.Event()

    @action("test.send_heartbeats", heartbeat_seconds=0.03)
    async def send_heartbeats(parameters: Given, context: ActionContext) -> None:
        """Run until three heartbeats have been sent."""
        async with asyncio.timeout(60):
            while len(beats) < 3:
                await asyncio.sleep(0.005)
        enough.set()

    await environment.run(
        run_action, send_heartbeats.__orchestrator_action__, {"parameters": {}}, Resources(Settings())
    )

    assert enough.is_set()


@pytest.mark.parametrize(
    ("running", "seconds"),
    [(0, 1.0), (50, 1.0), (275, 3.0), (500, 5.0), (10_000, 5.0)],  # 275 is halfway
)
def test_heartbeats_are_a_second_apart_up_to_50_actions_and_at_most_5_s(running: int, seconds: float) -> None:
    assert heartbeat_interval(running) == seconds


# Registration.


@action("test.busy")
async def busy(parameters: Given) -> None:
    raise ActionFailed("busy", retry_after_seconds=parameters.value)


@pytest.mark.parametrize(("seconds", "days"), [(1e16, 3660), (float("nan"), 0), (-1, 0), (86_400, 1)])
async def test_a_failure_can_put_off_the_next_attempt_by_ten_years_at_most(seconds: float, days: int) -> None:
    with pytest.raises(ApplicationError) as caught:
        await attempt(busy, {"value": seconds})

    assert caught.value.next_retry_delay == timedelta(days=days)


@pytest.mark.parametrize("seconds", [0, -1, 1e12, float("nan")])
@pytest.mark.parametrize("key", ["timeout_seconds", "heartbeat_seconds"])
def test_an_action_cannot_declare_a_timeout_beyond_ten_years(key: str, seconds: float) -> None:
    with pytest.raises(ActionError, match=rf"test\.endless: {key} must be greater than 0 and at most"):
        action("test.endless", **{key: seconds})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=key):
        DescribedAction.model_validate({"name": "test.endless", key: seconds})


def test_a_name_that_is_taken_is_refused() -> None:
    registry = Registry()
    registry.add(plain.__orchestrator_action__)

    with pytest.raises(ActionError, match=r"test\.plain"):
        registry.add(plain.__orchestrator_action__)


def test_modules_that_cannot_be_loaded_are_named() -> None:
    with pytest.raises(ActionError, match=r"no\.such\.module"):
        load_registry(Settings(action_modules=("no.such.module",)))
    with pytest.raises(ActionError, match="declares no action"):
        load_registry(Settings(action_modules=("json",)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def (", r"SyntaxError: invalid syntax"),
        ("raise RuntimeError('no token')", r"RuntimeError: no token"),
        ("raise SystemExit(3)", r"SystemExit: 3"),
    ],
    ids=["syntax", "raise", "exit"],
)
def test_whatever_a_module_raises_at_import_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    """A worker with a broken module must end with one sentence, not a traceback, and never with the module's code."""
    (tmp_path / "broken_actions.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ActionError, match=rf"'broken_actions', named in ORCHESTRATOR_ACTION_MODULES: {message}"):
        load_registry(Settings(action_modules=("broken_actions",)))


def test_the_current_folder_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes last: a file of a user that is named like a module hides none."""
    source = (
        "from orchestrator.actions import action\n@action('own.echo')\ndef echo(text: str) -> str:\n    return text\n"
    )
    (tmp_path / "own_actions_of_a_folder.py").write_text(source)
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('not the module of that name')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    registry = load_registry(Settings(action_modules=("own_actions_of_a_folder",)))

    assert registry.get("own.echo") is not None
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_an_installed_module_may_be_named_in_the_settings_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from orchestrator.actions import action\n@action('own.twice')\ndef twice(n: int) -> int:\n    return 2 * n\n"
    )
    (tmp_path / "actions_that_are_installed.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("own", "actions_that_are_installed", "orchestrator.actions")
    monkeypatch.setattr("activities.entry_points", lambda group: EntryPoints([point]))

    registry = load_registry(Settings(action_modules=("actions_that_are_installed",)))

    assert registry.get("own.twice") is not None


def test_every_builtin_action_has_a_schema_and_a_description() -> None:
    registry = load_builtin_registry()

    assert len(BUILTIN) == len(registry.list_names())
    for spec in registry:
        schema = spec.describe()
        assert schema["description"]
        assert schema["parameters"]["properties"] is not None
        assert spec.parameters.model_config.get("extra") == "forbid"


LINK = {"node": "decision", "path": "each[3]", "assignee": "ann", "made_at": "2026-05-01T12:30:15Z"}


async def test_an_approval_link_is_signed_here_and_does_not_come_back(make_caller: Any, web: Web) -> None:
    """What an action returns is in history: a server that repeats the link must not put it there."""
    web.routes["/echo"] = lambda request: answer(body={"seen": request.body.decode()})
    call = make_caller(approval_secret="a key of the tests", public_url="https://flows.example/")
    secrets = {"/json/text": ["Decide: ", {"approval_link": LINK}]}
    result = await call(
        "http.request", {"url": f"{web.url}/echo", "method": "POST", "json": {"text": None}}, secrets=secrets
    )
    text = json.loads(web.seen[-1].body)["text"]
    token = text.removeprefix("Decide: https://flows.example/approvals/")

    assert parse_token(token, "a key of the tests") is not None
    assert token not in json.dumps(result)
    assert "[secret]" in json.dumps(result)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({}, "APPROVAL_SECRET"), ({"approval_secret": "a key of the tests"}, "PUBLIC_URL")],
)
async def test_an_approval_link_needs_settings(make_caller: Any, settings: dict[str, str], missing: str) -> None:
    failure = await make_caller(**settings).failure(
        "log.message", {"message": None}, secrets={"/message": [{"approval_link": LINK}]}
    )

    assert f"ORCHESTRATOR_{missing} is not set" in str(failure)
