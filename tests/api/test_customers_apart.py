"""What belongs to one customer does not exist for another: in definitions, in runs, and in what webhooks check.

`test_access.py` walks the routes; here it is everything that a definition can name.
"""

import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities import load_builtin_registry
from api.app import PREFIX
from orchestrator.model.permissions import describe_missing_secret
from orchestrator.service.services import Services
from orchestrator.settings import SqlConnection
from orchestrator.temporal.worker import run_worker
from tests.api.support import CLIENT_SECONDS, SIGNATURE, make_hook, serve_api, sign, wait_for_end
from tests.temporal.world import World, make_definition

pytestmark = pytest.mark.temporal

THEIRS, NOBODYS = "vault_7", "vault_8"
"""A name that only north has and one that does not exist: similar, so that hints would tell them apart."""
USE_THEIRS = f"{{{{ secrets.{THEIRS} }}}}"
VALUE = "s3cret-of-north"
SHARED = "s3cret-of-everybody"
SECRETS = {
    "north": {THEIRS: VALUE, "spare": VALUE},
    "south": {"own": "s3cret-of-south", "elsewhere": None},
    "*": {"shared": SHARED},
}


@dataclass
class Apart:
    """A service with a worker, and clients of two customers: `other` has no right to what `owner` has."""

    services: Services
    owner: httpx.AsyncClient
    other: httpx.AsyncClient


@pytest.fixture
async def apart(world: World, tmp_path: Path) -> AsyncIterator[Apart]:
    secrets_file = tmp_path / "secrets.json"
    secrets_file.write_text(json.dumps(SECRETS))
    more = {
        "secrets_file": secrets_file,
        "sql_connections": {
            THEIRS: SqlConnection(url="sqlite+aiosqlite://", customers=("north",)),  # type: ignore[arg-type]  # text
            "shared": SqlConnection(url="sqlite+aiosqlite://", customers=("*",)),  # type: ignore[arg-type]  # text
        },
        "task_queue": f"apart-{next(world.numbers)}",
        "task_queues": {THEIRS: ("north",)},
    }
    async with AsyncExitStack() as stack:
        services, address = await stack.enter_async_context(serve_api(world, tmp_path, **more))
        await stack.enter_async_context(run_worker(world.client, services.settings, load_builtin_registry()))
        clients = []
        for customer in ("north", "south"):
            _, key = await services.keys.create(customer, "a key", ("read", "run", "edit"))
            headers = {"authorization": f"Bearer {key}"}
            client = httpx.AsyncClient(base_url=f"{address}{PREFIX}", headers=headers, timeout=CLIENT_SECONDS)
            clients.append(await stack.enter_async_context(client))
        yield Apart(services, *clients)


UNDO = {"action": "log.message", "config": {"message": "undo"}}
EVERY_KEY: dict[str, Any] = {
    **make_definition(
        {
            "act": {
                "type": "action",
                "action": "http.request",
                "config": {
                    "url": "http://127.0.0.1:1/",
                    "headers": {"x-key": "a"},
                    "json": [{"deep": ["b"]}],
                    "auth": {"token": "c"},
                },
                "outputs": ["status"],
                "on_error": {"fallback": {"reason": "d"}},
                "when": {"field": "input.a", "operator": "equals", "value": "e"},
                "compensate": UNDO,
                "task_queue": THEIRS,
                "retry": {"retry_on": ["timeout_error"]},
            },
            "query": {"type": "action", "action": "sql.query", "config": {"connection": THEIRS, "statement": "f"}},
            "hook": {
                "type": "action",
                "action": "notify.webhook",
                "config": {"url": "http://127.0.0.1:1", "secret": "g"},
            },
            "put": {"type": "set", "config": {"h": "i"}},
            "decide": {
                "type": "condition",
                "condition": {"type": "or", "conditions": [{"field": "j", "operator": "equals", "value": "k"}]},
            },
            "choose": {"type": "switch", "config": {"value": "l", "cases": {"m": "n"}}},
            "each": {
                "type": "loop",
                "collection": "{{ input.items }}",
                "body": ["inner"],
                "config": {
                    "collect": "o",
                    "while": {"expression": "{{ input.p }}"},
                    "break_when": {"field": "q", "value": "r"},
                },
            },
            "inner": {"type": "set", "config": {"s": "t"}},
            "pause": {"type": "delay", "delay_seconds": "{{ input.u }}"},
            "later": {"type": "delay", "delay_until": "{{ input.v }}"},
            "ask": {"type": "wait", "config": {"event": "w", "timeout_seconds": "{{ input.x }}"}},
            "done": {"type": "end", "config": {"output": {"y": "z"}}},
        },
        *("trigger -> act", "act -> query", "query -> hook", "hook -> put", "put -> decide"),
        "decide -true-> choose",
        "decide -false-> each",
        "choose -m-> each",
        "choose -default-> each",
        *("each -> pause", "pause -> later", "later -> ask", "ask -> done"),
        "ask -timeout-> done",
    ),
    "trigger": make_hook("in", secret="aa", resume={"run_id": "{{ query.run }}", "event": "bb"}),
    "variables": {"cc": "dd"},
    "settings": {
        "notify": {"action": "log.message", "config": {"message": "ee"}},
        "on_error": "fail",
        "task_queue": THEIRS,
    },
}


def iterate_texts(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every text in a definition."""
    if isinstance(value, str):
        yield keys
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from iterate_texts(item, (*keys, key))


def replace_text(definition: dict[str, Any], keys: tuple[Any, ...], text: str) -> dict[str, Any]:
    changed = copy.deepcopy(definition)
    holder: Any = changed
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = text
    return changed


NAMES: dict[str, Callable[[str], str]] = {
    "a name": lambda name: name,
    "a secret": lambda name: f"{{{{ secrets.{name} }}}}",
    "a secret with pipes": lambda name: f'x {{{{ secrets["{name}"] | slice(0, 1) }}}}',
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=pytest.mark.long) if form == "a secret" else form for form in NAMES]
)
async def test_no_key_of_a_definition_tells_whether_another_customer_has_something(apart: Apart, form: str) -> None:
    """Writes a name of another customer, and one that does not exist, at each position of a definition."""
    walked = 0
    for keys in iterate_texts(EVERY_KEY):
        answers = []
        for name in (THEIRS, NOBODYS):
            definition = replace_text(EVERY_KEY, keys, NAMES[form](name))
            # The rest of the definition names nothing of other customers: only this position can differ.
            for own in [at for at in iterate_texts(EVERY_KEY) if at != keys and at[-1] in ("connection", "task_queue")]:
                definition = replace_text(definition, own, "shared" if own[-1] == "connection" else "")
            answer = await apart.other.post("/workflows/validate", json=definition)
            assert answer.status_code == 200, (keys, answer.text)
            assert VALUE not in answer.text
            answers.append(answer.text.replace(name, "NAME"))
        assert answers[0] == answers[1], keys
        walked += 1

    assert walked > 100


async def validate(client: httpx.AsyncClient, keys: tuple[Any, ...], text: str) -> list[tuple[str, str]]:
    answer = await client.post("/workflows/validate", json=replace_text(EVERY_KEY, keys, text))
    pointer = "".join(f"/{key}" for key in keys)
    return [(each["code"], each["message"]) for each in answer.json()["problems"] if each["path"] == pointer]


async def test_the_owner_of_a_thing_may_name_it(apart: Apart) -> None:
    """Without this the walk above might pass because nothing is checked."""
    secret, connection, queue = (
        ("nodes", 0, "config", "auth", "token"),
        ("nodes", 1, "config", "connection"),
        ("nodes", 0),
    )

    assert await validate(apart.owner, secret, USE_THEIRS) == []
    assert await validate(apart.other, secret, USE_THEIRS) == [
        ("missing_secret", describe_missing_secret(THEIRS, "south"))
    ]
    assert await validate(apart.owner, connection, THEIRS) == []
    assert await validate(apart.other, connection, THEIRS) == [
        (
            "unknown_connection",
            f"there is no connection {THEIRS!r} in ORCHESTRATOR_SQL_CONNECTIONS for this customer (it has: shared)",
        )
    ]
    assert await validate(apart.owner, (*queue, "task_queue"), THEIRS) == []
    assert await validate(apart.other, (*queue, "task_queue"), THEIRS) == [
        ("bad_task_queue", f"there is no task queue {THEIRS!r} for this customer in ORCHESTRATOR_TASK_QUEUES")
    ]


def build_use(action: str, config: dict[str, Any]) -> dict[str, Any]:
    return make_definition({"a": {"type": "action", "action": action, "config": config}}, "trigger -> a")


USES: dict[str, Callable[[str], dict[str, Any]]] = {
    "a secret": lambda name: build_use("log.message", {"message": f"{{{{ secrets.{name} }}}}"}),
    "a secret with pipes": lambda name: build_use("log.message", {"message": f"{{{{ secrets.{name} | length }}}}"}),
    "a computed connection": lambda name: build_use(
        "sql.query", {"connection": "{{ input.name }}", "statement": "SELECT 1"}
    ),
}


@pytest.mark.parametrize("use", USES)
async def test_a_run_uses_nothing_of_another_customer(apart: Apart, use: str) -> None:
    async def run(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
        body = {"definition": USES[use](name), "input": {"name": name}}
        answer = await client.post("/runs", json=body)
        assert answer.status_code == 202, answer.text
        return await wait_for_end(client, answer.json()["id"])

    theirs, nobodys = await run(apart.other, THEIRS), await run(apart.other, NOBODYS)

    assert (await run(apart.owner, THEIRS))["status"] == "completed"
    assert theirs["failure"]["error_type"] == "validation_error"
    assert theirs["failure"]["message"].replace(THEIRS, NOBODYS) == nobodys["failure"]["message"]
    assert VALUE not in json.dumps(theirs)


async def test_a_run_starts_on_no_task_queue_of_another_customer(apart: Apart) -> None:
    """Also one that was allowed when the workflow was published."""
    definition = build_use("log.message", {"message": "hi"}) | {"id": "queued"}
    definition["nodes"][0]["task_queue"] = THEIRS

    refused = await apart.other.post("/runs", json={"definition": definition})
    assert (refused.status_code, refused.json()["code"]) == (422, "definition_invalid")
    assert (await apart.owner.post("/workflows", json=definition)).status_code == 201
    assert (await apart.owner.post("/workflows/queued/activate")).status_code == 200

    apart.services.settings.task_queues[THEIRS] = ("south",)  # type: ignore[index]  # set by the fixture
    later = await apart.owner.post("/workflows/queued/runs")

    assert (later.status_code, later.json()["code"]) == (409, "operation_refused")
    assert later.json()["detail"] == f"there is no task queue {THEIRS!r} for this customer in ORCHESTRATOR_TASK_QUEUES"


async def test_a_webhook_is_signed_with_a_secret_of_its_own_customer(apart: Apart) -> None:
    """Otherwise the answer reveals whether a guessed character is right: `{{ secrets.theirs | slice(0, 1) }}`."""
    body, answers = b"{}", {}
    for customer, client in (("north", apart.owner), ("south", apart.other)):
        for name in (THEIRS, "shared", NOBODYS):
            hook = make_hook(name, secret=f"{{{{ secrets.{name} | slice(0, 1) }}}}")
            definition = build_use("log.message", {"message": "hi"}) | {"id": name, "trigger": hook}
            assert (await client.post("/workflows", json=definition)).status_code == 201
            assert (await client.post(f"/workflows/{name}/activate")).status_code == 200
            signed = {SIGNATURE: sign("s", body)}
            # A webhook needs no key.
            answer = await client.post(f"/hooks/{customer}/{name}", content=body, headers=signed)
            answers[customer, name] = answer.status_code

    assert answers == {
        ("north", THEIRS): 202,
        **dict.fromkeys((("north", "shared"), ("north", NOBODYS)), 503),
        **dict.fromkeys((("south", THEIRS), ("south", "shared"), ("south", NOBODYS)), 503),
    }


async def test_activation_warns_about_missing_secrets(apart: Apart) -> None:
    """The API needs names only: the value of `elsewhere` is null in its file."""
    definition = build_use(
        "log.message", {"message": f"{USE_THEIRS}{{{{ secrets.own }}}}{{{{ secrets.elsewhere }}}}"}
    ) | {"id": "w"}
    await apart.other.post("/workflows", json=definition)

    activated = (await apart.other.post("/workflows/w/activate")).json()

    assert [(each["code"], each["path"], each["message"]) for each in activated["warnings"]] == [
        ("missing_secret", "/nodes/0/config/message", describe_missing_secret(THEIRS, "south"))
    ]


async def test_a_strict_activation_refuses_warnings(apart: Apart) -> None:
    definition = build_use("log.message", {"message": USE_THEIRS}) | {"id": "w"}
    await apart.other.post("/workflows", json=definition)

    refused = await apart.other.post("/workflows/w/activate", params={"strict": True})
    state = (await apart.other.get("/workflows/w")).json()
    activated = await apart.other.post("/workflows/w/activate")
    again = await apart.other.post("/workflows/w/activate", params={"strict": True})

    assert (refused.status_code, refused.json()["code"]) == (422, "definition_invalid")
    assert [each["code"] for each in refused.json()["errors"]] == ["missing_secret"]
    assert (state["status"], state["version"]) == ("draft", 0)
    assert (activated.status_code, again.status_code) == (200, 422)


async def test_activation_is_silent_where_no_secret_is_configured(api: httpx.AsyncClient) -> None:
    """The API of an installation whose workers alone have secrets knows no names."""
    definition = build_use("log.message", {"message": "{{ secrets.any }}"}) | {"id": "w"}
    await api.post("/workflows", json=definition)

    assert (await api.post("/workflows/w/activate")).json()["warnings"] == []
