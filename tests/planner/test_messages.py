"""Problems speak of the author's own file: what is wrong, and what to write instead."""

from typing import Any

import pytest

from activities import load_builtin_registry
from orchestrator.planner.planner import check

REGISTRY = load_builtin_registry()


def action(name: str, **config: Any) -> dict[str, Any]:
    return {"id": "a", "type": "action", "action": name, "config": config}


def request(**config: Any) -> dict[str, Any]:
    return action("http.request", **{"url": "https://example.org", **config})


MESSAGES: dict[str, tuple[dict[str, Any], str, str, str | None]] = {
    "misspelt type": (
        {"id": "a", "type": "acton"},
        "/nodes/0/type",
        "there is no node type 'acton'",
        "did you mean `action`?",
    ),
    "misspelt action": (
        action("http.requests"),
        "/nodes/0/action",
        "there is no action 'http.requests'",
        "did you mean `http.request`?",
    ),
    "key of another type": (
        {"id": "a", "type": "set", "config": {"x": 1}, "body": ["a"]},
        "/nodes/0/body",
        "a node of type set does not use `body`",
        "remove it; `body` belongs to type loop",
    ),
    "text for a list": (
        {"id": "a", "type": "set", "config": {"x": 1}, "outputs": "x"},
        "/nodes/0/outputs",
        "`outputs` must be a list, not text",
        None,
    ),
    "missing parameter": (
        action("http.request"),
        "/nodes/0/config",
        "http.request requires the parameter `url`",
        "url: URL that begins with `http://` or `https://`.",
    ),
    "misspelt parameter": (
        request(headrs={}),
        "/nodes/0/config/headrs",
        "http.request has no parameter 'headrs'",
        "did you mean `headers`?",
    ),
    "parameter of another action": (
        action("log.message", message="x", to="me"),
        "/nodes/0/config/to",
        "log.message has no parameter 'to'",
        "parameters: message, level",
    ),
    "address without a domain": (
        action("email.send", to=["nobody"]),
        "/nodes/0/config/to",
        "`to` of email.send must be an email address, not 'nobody'; separate several by commas, or use a list",
        None,
    ),
    "two bodies": (
        request(text="a", form={"b": 1}),
        "/nodes/0/config",
        "`config` of http.request must have only one of json, text and form",
        None,
    ),
    "misspelt choice": (
        request(method="PSOT"),
        "/nodes/0/config/method",
        "`method` of http.request must be 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE' or 'OPTIONS'",
        "did you mean `POST`?",
    ),
    "object for text": (
        request(url={"host": "x"}),
        "/nodes/0/config/url",
        "`url` of http.request must be text, not an object",
        "to pass an object or a list as text, use `| json`",
    ),
    "nested value": (
        request(headers={"x-id": None}),
        "/nodes/0/config/headers/x-id",
        "`headers.x-id` of http.request must be text, not null",
        None,
    ),
    "none of several types": (
        request(expected_status={"from": 200}),
        "/nodes/0/config/expected_status",
        "`expected_status` of http.request must be a whole number, text or a list",
        "expected_status: Statuses that count as success: `200`, `[200, 404]` or `2xx`.",
    ),
    "none of several forms": (
        request(auth={"user": "me"}),
        "/nodes/0/config/auth",
        "`auth` of http.request does not have an accepted form",
        "auth: `{username, password}` or `{token}`.",
    ),
    "object as a collection": (
        {"id": "a", "type": "loop", "collection": {"x": 1}},
        "/nodes/0/collection",
        "the collection is an object, not a list",
        "write the items as a list, or use `| values` on a path",
    ),
    "path as a collection": (
        {"id": "a", "type": "loop", "collection": "input.items"},
        "/nodes/0/collection",
        "the collection is plain text, not a list",
        "write `{{ input.items }}` for the value of that path",
    ),
    "two delays": (
        {"id": "a", "type": "delay", "delay_seconds": 5, "delay_until": "2030-01-01"},
        "/nodes/0",
        "the delay 'a' sets delay_seconds and delay_until",
        "keep one of them",
    ),
    "true as a number": (
        {"id": "a", "type": "loop", "collection": [1], "config": {"max_concurrency": "2"}},
        "/nodes/0/config/max_concurrency",
        "max_concurrency must be a whole number, not '2'",
        None,
    ),
    "misspelt policy": (
        request() | {"on_error": "skp"},
        "/nodes/0/on_error",
        "unknown on_error 'skp'",
        "did you mean `skip`?",
    ),
    "one policy twice": (
        request() | {"retry": {"max_retries": 2, "maximum_attempts": 3}},
        "/nodes/0/retry/maximum_attempts",
        "`maximum_attempts` is set twice, here as `maximum_attempts`",
        "remove one of the keys",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_problem_says_what_is_wrong_and_what_to_write(case: str) -> None:
    node, path, message, hint = MESSAGES[case]
    definition = {
        "name": "W",
        "trigger": {"type": "manual"},
        "nodes": [node],
        "edges": [{"source": "trigger", "target": "a"}],
    }

    problems = check(definition, registry=REGISTRY).problems

    assert (path, message, hint) in [(problem.path, problem.message, problem.hint) for problem in problems]


def test_a_value_that_fits_no_form_is_one_problem() -> None:
    definition = {
        "name": "W",
        "trigger": {"type": "manual"},
        "nodes": [request(auth={"user": "me"})],
        "edges": [{"source": "trigger", "target": "a"}],
    }

    problems = check(definition, registry=REGISTRY).problems

    assert [problem.path for problem in problems] == ["/nodes/0/config/auth"]
