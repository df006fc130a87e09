"""What the code can write into the history of a run, by its source, and what it has written.

Two kinds of functions write. In the interpreter a *state writer* returns a part of the state as JSON: its name is
`to_json` or `to_difference`, or ends in one of them. Its keys are those of the dict displays in its source; of a list
display, the positions. A replay of the recorded histories calls the writers again, and `watch_writers` notes what they
return.

On Temporal, requests, results of branches and messages are built in many functions: what counts there is that a key is
found in a payload of some history.

A key counts only with a value: one that is always `None`, empty, zero or false shows nothing.
"""

import ast
import base64
import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

import orchestrator.interpreter
import orchestrator.temporal.workflow
from orchestrator.interpreter import segments
from orchestrator.temporal import branch_results, requests
from orchestrator.temporal.payloads import decode_shared

WRITERS = ("to_json", "to_difference")
SHOWN = frozenset({"_describe", "build_document", "_build_head"})
"""Functions on Temporal whose dict displays are in no history: shown to people, or sent to a local activity."""


def list_modules(package: ModuleType) -> list[ModuleType]:
    """Import and return the modules of a package."""
    return [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    ]


def is_writer(name: str) -> bool:
    return name.endswith(WRITERS)


def find_functions(module: ModuleType) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the functions and methods of a module by qualified name."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{method.name}", method


def find_state_keys() -> set[str]:
    """Return `Class.to_json: key` for each key that a state writer can write."""
    return {
        f"{name}: {key}"
        for module in list_modules(orchestrator.interpreter)
        for name, function in find_functions(module)
        if is_writer(name)
        for key in (*list_dict_keys(function), *list_kinds(function), *list_positions(function))
    }


def list_dict_keys(function: ast.AST) -> list[str]:
    """Return the keys of the dict displays in a function, and those it assigns."""
    keys = [key for node in ast.walk(function) if isinstance(node, ast.Dict) for key in node.keys]
    keys += [node.slice for node in ast.walk(function) if isinstance(node, ast.Subscript) and is_assigned(node)]
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def is_assigned(node: ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Store)


def list_kinds(function: ast.AST) -> list[str]:
    """Return `kind=value` for the kinds of a union."""
    return [
        f"kind={value.value}"
        for node in ast.walk(function)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "kind" and isinstance(value, ast.Constant)
    ]


def list_positions(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the positions of the longest list display that a function returns."""
    lengths = {
        target.id: len(node.value.elts)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    displays = [
        part
        for value in returned
        for part in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
        if isinstance(part, ast.List)
    ]
    longest = max((sum(measure_element(element, lengths) for element in each.elts) for each in displays), default=0)
    return [f"[{position}]" for position in range(longest)]


def measure_element(element: ast.expr, lengths: Mapping[str, int]) -> int:
    if isinstance(element, ast.Starred) and isinstance(element.value, ast.Name):
        return lengths.get(element.value.id, 0)
    return 1


@contextmanager
def watch_writers(written: set[str]) -> Iterator[None]:
    """Note what state writers write, in the form of `find_state_keys`."""
    modules = list_modules(orchestrator.interpreter)
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name, _ in find_functions(module):
                if is_writer(name):
                    watch_writer(patch, modules, module, name, written)
        yield


def watch_writer(
    patch: pytest.MonkeyPatch, modules: Iterable[ModuleType], module: ModuleType, name: str, written: set[str]
) -> None:
    owner, _, attribute = name.rpartition(".")
    original = getattr(getattr(module, owner) if owner else module, attribute)
    watched = note_results(original, name, written)
    if owner:
        patch.setattr(getattr(module, owner), attribute, watched)
        return
    for each in modules:
        if getattr(each, attribute, None) is original:
            patch.setattr(each, attribute, watched)


def note_results(original: Callable[..., Any], name: str, written: set[str]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        result = original(*args, **options)
        if isinstance(result, Mapping):
            written.update(f"{name}: {key}" for key, value in result.items() if has_content(value))
            if isinstance(result.get("kind"), str):
                written.add(f"{name}: kind={result['kind']}")
        elif isinstance(result, list):
            written.update(f"{name}: [{position}]" for position, value in enumerate(result) if has_content(value))
        return result

    return call


def has_content(value: Any) -> bool:
    return value not in (None, "", 0, False, [], {}, ())


def find_message_keys() -> set[str]:
    """Return the keys that requests, results of branches and messages between flows may have."""
    modules = [requests, branch_results, segments, *list_modules(orchestrator.temporal.workflow)]
    return {
        key
        for module in modules
        for name, function in find_functions(module)
        if name.rpartition(".")[2] not in SHOWN
        for key in (*list_dict_keys(function), *list_keywords(function, "omit_empty"))
    }


def list_keywords(function: ast.AST, name: str) -> list[str]:
    """Return the names of the keyword arguments of the calls of a function."""
    return [
        keyword.arg
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for keyword in node.keywords
        if keyword.arg is not None
    ]


def collect_payload_keys(value: Any) -> set[str]:
    """Return the keys with content in the payloads of an event."""
    keys: set[str] = set()
    for payload in find_payloads(value):
        collect_keys(payload, keys)
    return keys


def find_payloads(value: Any) -> Iterator[Any]:
    """Yield the decoded payloads in an event."""
    if isinstance(value, list):
        for item in value:
            yield from find_payloads(item)
    elif isinstance(value, dict) and "encoding" in value.get("metadata", {}):
        yield decode_payload(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_payloads(item)


def decode_payload(payload: Mapping[str, Any]) -> Any:
    data = base64.b64decode(payload.get("data", ""))
    match base64.b64decode(payload["metadata"]["encoding"]):
        case b"json/plain":
            return json.loads(data)
        case b"binary/plain":
            return decode_shared(data)
    return None


def collect_keys(value: Any, keys: set[str]) -> None:
    if isinstance(value, dict):
        keys.update(key for key, item in value.items() if has_content(item))
        for item in value.values():
            collect_keys(item, keys)
    elif isinstance(value, list):
        for item in value:
            collect_keys(item, keys)
