"""The schema for editors finds what `validate` finds without the graph, and refuses nothing that is valid."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel

from activities import load_builtin_registry
from activities.registry import ActionSpec, Registry, action
from orchestrator.model.definition import Node
from orchestrator.model.node_types import KINDS
from orchestrator.planner.editor_schema import build_editor_schema
from orchestrator.planner.planner import check
from tests.example_files import EXAMPLES, load_example
from tests.golden import Case, load_cases
from tests.planner.test_planner import ERRORS

REGISTRY = load_builtin_registry()
SCHEMA = build_editor_schema(REGISTRY.describe())
EDITOR = Draft7Validator(SCHEMA)
WITHOUT_ACTIONS = Draft7Validator(build_editor_schema())


def make_definition(**changes: Any) -> dict[str, Any]:
    nodes = [
        {"id": "ask", "type": "action", "action": "http.request", "config": {"url": "https://shop.example"}},
        {"id": "big", "type": "condition", "condition": {"field": "input.n", "operator": "greater_than", "value": 5}},
        {"id": "each", "type": "loop", "collection": "{{ input.items }}", "body": ["note"]},
        {"id": "note", "type": "action", "action": "log.message", "config": {"message": "n"}},
        {"id": "wait", "type": "delay", "delay_seconds": 5},
    ]
    edges = [
        {"source": "trigger", "target": "ask"},
        {"source": "ask", "target": "big"},
        {"source": "big", "target": "each", "condition": "true"},
        {"source": "big", "target": "wait", "condition": "false"},
    ]
    return {"name": "Shop", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges, **changes}


def change(path: str, value: Any) -> dict[str, Any]:
    """Return the definition with one value at a path changed; `None` removes a key."""
    definition = copy.deepcopy(make_definition())
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    holder: Any = definition
    for key in keys:
        holder = holder[key]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return definition


# What people write when they begin, and where an editor underlines it.
SLIPS: dict[str, tuple[dict[str, Any], str]] = {
    "type of a node": (change("nodes/0/type", "acton"), "nodes/0/type"),
    "type of the trigger": (change("trigger/type", "cron"), "trigger/type"),
    "name of an action": (change("nodes/0/action", "http.reques"), "nodes/0/action"),
    "parameter that is missing": (change("nodes/0/config/url", None), "nodes/0/config"),
    "parameter of another action": (change("nodes/3/config/url", "https://a.example"), "nodes/3/config"),
    "parameter of another type": (change("nodes/0/config/timeout_seconds", "soon"), "nodes/0/config/timeout_seconds"),
    "choice of a parameter": (change("nodes/3/config/level", "warn"), "nodes/3/config/level"),
    "operator": (change("nodes/1/condition/operator", "greater"), "nodes/1/condition/operator"),
    "value of an operator": (change("nodes/1/condition/operator", "in"), "nodes/1/condition/value"),
    "preset": (change("nodes/1/condition", {"preset": "ticket_urgnt"}), "nodes/1/condition/preset"),
    "misspelt key": (change("nodes/0/onError", "skip"), "nodes/0"),
    "key of another type": (change("nodes/4/collection", "{{ input.items }}"), "nodes/4/collection"),
    "key of a config": (change("nodes/2/config", {"max_concurency": 2}), "nodes/2/config/max_concurency"),
    "choice of a config": (change("nodes/2/config", {"on_item_error": "skip"}), "nodes/2/config/on_item_error"),
    "retry policy": (change("nodes/0/retry", {"attempts": 3}), "nodes/0/retry"),
    "number of attempts": (change("nodes/0/retry", {"max_retries": 0}), "nodes/0/retry/max_retries"),
    "on_error": (change("nodes/0/on_error", "ignore"), "nodes/0/on_error"),
    "setting": (change("settings", {"timeoutSeconds": 5}), "settings"),
    "no collection": (change("nodes/2/collection", None), "nodes/2"),
    "no duration": (change("nodes/4/delay_seconds", None), "nodes/4"),
    "no trigger": (change("trigger", None), ""),
    # These need the graph.
    "port": (change("edges/2/condition", "yes"), ""),
    "end of an edge": (change("edges/1/target", "bgi"), ""),
    "syntax of a template": (change("nodes/2/collection", "{{ input.items | frist }}"), ""),
}
NOT_FOUND = {"port", "end of an edge", "syntax of a template"}


def list_places(definition: Any, editor: Draft7Validator = EDITOR) -> set[str]:
    """Return the paths of all errors, also of those inside alternatives."""

    def walk(errors: Any) -> Iterator[str]:
        for error in errors:
            yield "/".join(map(str, error.absolute_path))
            yield from walk(error.context or ())

    return set(walk(editor.iter_errors(definition)))


def test_the_schema_is_one_of_draft_7() -> None:
    Draft7Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert list_places(make_definition()) == set()


@pytest.mark.parametrize("name", SLIPS)
def test_an_editor_finds_the_mistake_that_validate_finds(name: str) -> None:
    definition, place = SLIPS[name]
    errors = [each for each in check(definition, registry=REGISTRY).problems if each.severity == "error"]
    places = list_places(definition)

    assert errors != []
    assert (places == set()) == (name in NOT_FOUND)
    assert name in NOT_FOUND or place in places


NEEDS_MORE_THAN_A_SCHEMA = {
    *("id twice", "edge without port", "unknown port", "edge to nowhere", "edge from nowhere", "edge out of end"),
    *("list names nothing", "body owns nothing", "join beyond branches", "unknown workflow"),
    *("template syntax", "unknown function", "unknown pipe", "join of a template that is none", "bad pattern"),
    *("secret in a variable", "pipe on a secret for another worker", "secret in a key"),
    *("unknown zone of a delay", "bad timezone", "bad time", "bad cron", "id like that of a retried step"),
    *("bad payload schema", "bad input schema"),
    *("step of a later node of the body", "unknown step", "unknown step field"),
    *("interval of concurrent iterations", "failures that are not allowed", "batches without a collection"),
}


def test_an_editor_finds_most_errors_that_the_planner_knows() -> None:
    missed = {name for name, (definition, _, _) in ERRORS.items() if EDITOR.is_valid(definition)}

    assert missed <= NEEDS_MORE_THAN_A_SCHEMA
    assert len(missed) <= 31 < len(ERRORS) - len(missed)


VALID_CASES = [case for case in load_cases() if "refused" not in case.expect]


@pytest.mark.parametrize("case", VALID_CASES, ids=lambda case: case.name)
def test_nothing_that_runs_is_underlined(case: Case) -> None:
    assert list_places(case.definition, WITHOUT_ACTIONS) == set()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_not_underlined_with_all_keys_of_exporters(path: Any) -> None:
    definition = load_example(path)
    everything = copy.deepcopy(definition)
    for node in everything["nodes"]:
        lists = ("outputs", "true_branch", "false_branch", "body", "branches")
        empty = {key: [] if key in lists else 0 if key == "delay_seconds" else None for key in Node.model_fields}
        node.update({key: value for key, value in empty.items() if key not in node})

    assert list_places(definition) == set()
    assert list_places(everything) == set()
    others = {other.stem: load_example(other) for other in EXAMPLES}
    assert not [each for each in check(everything, workflows=others).problems if each.severity == "error"]


@pytest.mark.parametrize(
    "config",
    [
        {"url": "{{ input.url }}", "timeout_seconds": "{{ input.seconds }}", "expected_status": "{{ input.codes }}"},
        {"url": "https://a.example", "headers": {"x": 1, "{{ input.name }}": True}, "timeout_seconds": "5"},
        {"url": "https://a.example", "follow_redirects": "{{ input.follow }}", "auth": "{{ input.auth }}"},
        {"url": "https://a.example", "auth": {"username": "{{ input.user }}", "password": "{{ secrets.p }}"}},
    ],
    ids=str,
)
def test_templates_and_text_of_numbers_are_parameters(config: dict[str, Any]) -> None:
    definition = make_definition()
    definition["nodes"][0]["config"] = config

    assert [each for each in check(definition, registry=REGISTRY).problems if each.severity == "error"] == []
    assert list_places(definition) == set()


def test_the_recipients_of_an_email_are_a_list_or_text() -> None:
    for to in (["a@b.example"], "a@b.example, c@d.example", "{{ input.to }}"):
        definition = make_definition()
        definition["nodes"][0] |= {"action": "email.send", "config": {"to": to, "text": "x"}}
        assert list_places(definition) == set()


class Charge(BaseModel):
    customer: str
    cents: int


@action("shop.charge")
async def charge(parameters: Charge) -> None:
    """Charge a customer."""


def test_own_actions_are_in_the_schema() -> None:
    spec: ActionSpec = charge.__orchestrator_action__  # type: ignore[attr-defined]  # set by the decorator
    registry = Registry()
    registry.add(spec)
    editor = Draft7Validator(build_editor_schema(registry.describe()))
    own = {"id": "a", "type": "action", "action": "shop.charge"}

    def find(config: dict[str, Any]) -> set[str]:
        definition = make_definition(nodes=[{**own, "config": config}])
        return list_places(definition | {"edges": [{"source": "trigger", "target": "a"}]}, editor)

    assert find({"customer": "ann", "cents": 5}) == set()
    assert "nodes/0/config" in find({"customer": "ann"})
    assert "nodes/0/config/cents" in find({"customer": "ann", "cents": "many"})


def test_an_action_of_a_worker_elsewhere_need_not_be_known() -> None:
    elsewhere = {"id": "a", "type": "action", "action": "gpu.train"}
    edges = [{"source": "trigger", "target": "a"}]

    assert list_places(make_definition(nodes=[{**elsewhere, "task_queue": "gpu"}], edges=edges)) == set()
    assert list_places(make_definition(nodes=[elsewhere], edges=edges, settings={"task_queue": "gpu"})) == set()
    assert "nodes/0/action" in list_places(make_definition(nodes=[elsewhere], edges=edges))


def test_every_type_of_node_has_a_part_of_the_schema() -> None:
    named = [each["if"]["properties"]["type"]["const"] for each in SCHEMA["definitions"]["node"]["allOf"]]

    assert named == list(KINDS)
