"""Make mistakes in the examples: a name with a typo, a value of another type, a step on one branch only."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from orchestrator.jsontools.pointer import find_value, split_pointer

PATH = re.compile(r"(?<![\w.\"'])[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*(?![\w(\"'])")
WORDS = frozenset(("true", "false", "null", "and", "or", "not"))
FROM_OUTSIDE = re.compile(r"trigger\.(?:data|body)\.(\w+) \| default\(input\.\w+\)")
COMPUTED = ("config", "condition", "collection", "delay_seconds", "delay_until", "compensate", "when", "on_error")
"""Keys of a node with values that a run computes."""


class Mutant(NamedTuple):
    """A definition with one mistake."""

    description: str
    definition: dict[str, Any]


def infer_schema(values: Iterable[Any]) -> dict[str, Any]:
    """Return a schema of values, without other fields than they have."""
    schemas = {json.dumps(schema, sort_keys=True): schema for schema in map(_infer_one, values)}
    listed = list(schemas.values())
    return listed[0] if len(listed) == 1 else {"anyOf": listed}


def _infer_one(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"type": "null"}
        case bool():
            return {"type": "boolean"}
        case int() | float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            return {"type": "array", "items": infer_schema(value)} if value else {"type": "array"}
        case _:
            properties = {name: infer_schema([part]) for name, part in value.items()}
            return {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }


def declare_data(definition: Mapping[str, Any], inputs: list[Any], results: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Return a definition whose author has declared the input and the results of actions.

    What the trigger brings is taken from the input, as in a run that is started by hand.
    """
    text = FROM_OUTSIDE.sub(r"input.\1", json.dumps(definition))
    declared: dict[str, Any] = json.loads(text)
    declared["trigger"] = {"type": "manual"}
    declared["settings"] = {**(declared.get("settings") or {}), "input_schema": infer_schema(inputs)}
    for node in declared["nodes"]:
        if node["type"] == "action" and results.get(node["id"]):
            node["result_schema"] = infer_schema(results[node["id"]])
        if node["type"] == "wait" and node["config"].get("schema"):
            node["config"]["schema"] |= {"additionalProperties": False}
    return declared


def rename_in_path(definition: dict[str, Any], ran: set[str], rng: random.Random) -> Mutant | None:
    """Misspell one name of a path that a template or a condition reads."""
    places = [
        (pointer, text, match.start() + start, part)
        for pointer, text in _list_texts(definition, ran)
        for match in _find_paths(text, is_field=pointer.endswith("/field"))
        for start, part in _split_path(match.group())
        if match.group() not in WORDS and not match.group().startswith("secrets")
    ]
    if not places:
        return None
    pointer, text, start, part = rng.choice(places)
    wrong = _misspell(part, rng)
    changed = deepcopy(definition)
    _set_at(changed, pointer, text[:start] + wrong + text[start + len(part) :])
    return Mutant(f"{pointer}: {part} -> {wrong} in {text!r:.80}", changed)


def swap_type(definition: dict[str, Any], ran: set[str], rng: random.Random) -> Mutant | None:
    """Put a value of another type in the place of one."""
    places = [
        (pointer, value) for pointer, value in _list_values(definition, ran) if not isinstance(value, str) or value
    ]
    if not places:
        return None
    pointer, value = rng.choice(places)
    changed = deepcopy(definition)
    other = _swap(value)
    _set_at(changed, pointer, other)
    return Mutant(f"{pointer}: {value!r:.60} -> {other!r:.60}", changed)


def move_to_branch(definition: dict[str, Any], ran: set[str], rng: random.Random) -> Mutant | None:
    """Move a step whose results are read onto one of the paths after a condition or a switch."""
    edges = definition["edges"]
    listed = {node_id for node in definition["nodes"] for node_id in _list_listed(node)}
    text = json.dumps(definition)
    movable = [
        node["id"]
        for node in definition["nodes"]
        if node["type"] in ("action", "set", "workflow", "wait", "delay")
        and node["id"] in ran
        and node["id"] not in listed
        and all((edge.get("condition") or "next") == "next" for edge in edges if edge["source"] == node["id"])
        and _is_read(node, text)
    ]
    decisions = {node["id"] for node in definition["nodes"] if node["type"] in ("condition", "switch")}
    branches = [at for at, edge in enumerate(edges) if edge["source"] in decisions]
    if not movable or not branches:
        return None
    node_id, at = rng.choice(movable), rng.choice(branches)
    if node_id in (edges[at]["source"], edges[at]["target"]):
        return None
    changed = deepcopy(definition)
    following = [edge["target"] for edge in edges if edge["source"] == node_id]
    rest = [edge for edge in changed["edges"] if edge["source"] != node_id]
    moved = next(edge for edge in rest if edge["id"] == edges[at]["id"])
    after = moved["target"]
    for edge in rest:
        if edge["target"] == node_id and following:
            edge["target"] = following[0]
    moved["target"] = node_id
    changed["edges"] = [
        *(edge for edge in rest if edge["target"] != node_id or edge is moved),
        {"id": "moved", "source": node_id, "target": after},
    ]
    return Mutant(f"{node_id} moved to {moved['source']} -{moved.get('condition')}->", changed)


MUTATIONS = {"renamed": rename_in_path, "type": swap_type, "moved": move_to_branch}


def _is_read(node: Mapping[str, Any], text: str) -> bool:
    names = [*(node.get("outputs") or ()), *(node["config"] if node["type"] == "set" else ())]
    return f"steps.{node['id']}." in text or any(
        re.search(rf"[^\w.\"]{re.escape(name)}[^\w\"]", text) for name in names
    )


def _list_listed(node: Mapping[str, Any]) -> Iterator[str]:
    for key in ("body", "true_branch", "false_branch"):
        yield from node.get(key) or ()
    for branch in node.get("branches") or ():
        yield from branch


def _find_paths(text: str, *, is_field: bool) -> Iterator[re.Match[str]]:
    spans = [(0, len(text))] if is_field and "{{" not in text else [m.span() for m in re.finditer(r"\{\{.*?\}\}", text)]
    for start, end in spans:
        quoted = [m.span() for m in re.finditer(r'"[^"]*"', text[start:end])]
        for match in PATH.finditer(text, start, end):
            inside = any(begin + start <= match.start() < stop + start for begin, stop in quoted)
            is_pipe = text[: match.start()].rstrip().endswith("|")
            if not inside and not is_pipe:
                yield match


def _split_path(path: str) -> Iterator[tuple[int, str]]:
    start = 0
    for part in path.split("."):
        yield start, part
        start += len(part) + 1


def _misspell(name: str, rng: random.Random) -> str:
    at = rng.randrange(len(name))
    return rng.choice(
        (name[:at] + name[at:][:1] + name[at:], name[:at] + name[at + 1 :] or "x", name + "s", f"{name}_2")
    )


def _list_texts(definition: Mapping[str, Any], ran: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the texts of the nodes that have run, each with its pointer."""
    for pointer, value in _walk_nodes(definition, ran):
        is_shown = isinstance(value, str) and "approval_link(" not in value  # a run shows such a text unrendered
        if is_shown and ("{{" in value or pointer.endswith("/field")):
            yield pointer, value


def _list_values(definition: Mapping[str, Any], ran: set[str]) -> Iterator[tuple[str, Any]]:
    for pointer, value in _walk_nodes(definition, ran):
        if "/schema" not in pointer and not isinstance(value, dict) and value is not None:
            yield pointer, value
    for name, value in definition["variables"].items():
        yield f"/variables/{name}", value


def _walk_nodes(definition: Mapping[str, Any], ran: set[str]) -> Iterator[tuple[str, Any]]:
    for index, node in enumerate(definition["nodes"]):
        for key in COMPUTED:
            if node["id"] in ran and node.get(key) not in (None, {}):
                yield from _walk(node[key], f"/nodes/{index}/{key}")


def _walk(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{pointer}/{key}")
    else:
        yield pointer, value
        for index, item in enumerate(value) if isinstance(value, list) else ():
            yield from _walk(item, f"{pointer}/{index}")


def _swap(value: Any) -> Any:
    match value:
        case bool():
            return ["yes"]
        case int() | float():
            return "many"
        case str():
            return [value] if "{{" in value else {"value": value}
        case list():
            return "none"
    return value


def _set_at(document: Any, pointer: str, value: Any) -> None:
    *parents, last = split_pointer(pointer)
    parent = find_value(document, "".join(f"/{key}" for key in parents)) if parents else document
    parent[int(last) if isinstance(parent, list) else last] = value


def vary(value: Any, texts: list[str], rng: random.Random) -> Any:
    """Return data of the same types with some other values: numbers, and texts that the definition compares with."""
    match value:
        case bool():
            return rng.choice((value, not value))
        case int() | float():
            return rng.choice((value, value, value, 0, 50_000))
        case str() if value.isidentifier():
            return rng.choice((value, rng.choice(texts)))
        case list():
            return [vary(item, texts, rng) for item in value]
        case dict():
            return {key: vary(item, texts, rng) for key, item in value.items()}
    return value


def list_compared(definition: Mapping[str, Any]) -> list[str]:
    """Return the texts that conditions and switches of a definition compare with."""
    found: dict[str, None] = {}
    for node in definition["nodes"]:
        compared = {"condition": node.get("condition"), "cases": (node.get("config") or {}).get("cases")}
        for pointer, value in _walk(compared, ""):
            if (
                isinstance(value, str)
                and value.isidentifier()
                and ("/value" in pointer or pointer.startswith("/cases/"))
            ):
                found[value] = None
    return list(found)
