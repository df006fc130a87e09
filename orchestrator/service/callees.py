"""Find and load the workflows that a definition calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import LATEST
from orchestrator.planner.callee_keys import find_holder, make_versioned_key
from orchestrator.planner.calls import Call, find_callees
from orchestrator.store.records import Callee
from orchestrator.store.workflows import Definitions

_HeldCall = tuple[str, Call]
"""A call, and the key of the latest version whose own calls decide what the callee calls; empty for the caller's."""
MAX_CALLEES = 200
MAX_CALLEE_BYTES = 8_000_000
"""Of all definitions that are called, as JSON: a run can start with less than one million. Decoding takes 0.1 s,
on the event loop."""


@dataclass(frozen=True, slots=True)
class Callees:
    """The definitions that a definition calls, directly or indirectly."""

    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their keys for the planner."""
    drafts: set[str] = field(default_factory=set)
    """IDs of those that have never been published."""


async def load_callees(
    definitions: Definitions,
    customer_id: str,
    definition: Mapping[str, Any],
    held: Mapping[str, int] = MappingProxyType({}),
) -> Callees:
    """Load the definitions that are called, level by level, with one query for each level.

    `held` has the versions of callees that the caller took when it was published. A latest version calls what it took
    itself: its calls, and those of what it calls, are pinned to that. Missing workflows are left out.
    Raises DefinitionInvalid where there are more than MAX_CALLEES.
    """
    callees = Callees()
    held_by: dict[str, Mapping[str, int]] = {}
    seen: set[_HeldCall] = set()
    calls = {("", call) for call in find_callees(definition)}
    budget = MAX_CALLEE_BYTES
    while calls:
        seen |= calls
        _require_few(len(seen))
        wanted = {(name, _choose_version(name, version, held)) for _, (name, version) in calls}
        budget -= await definitions.measure_callees(customer_id, wanted)
        _require_small(budget)
        level: dict[str, dict[str, Any]] = {}
        for callee in await definitions.load_callees(customer_id, wanted):
            content = {**callee.definition, "version": callee.version} if callee.version else dict(callee.definition)
            if not callee.version:
                callees.drafts.add(callee.workflow_id)
            for holder in sorted(holder for holder, call in calls if call == (callee.workflow_id, callee.version)):
                key = make_versioned_key(callee.workflow_id, callee.version, holder)
                level[key] = _pin_calls(content, held_by.get(holder, {}))
            if callee.newest and ("", (callee.workflow_id, LATEST)) in calls:
                key = make_versioned_key(callee.workflow_id, LATEST)
                held_by[key] = await _read_held(definitions, customer_id, callee)
                level[key] = _pin_calls(content, held_by[key])
            if _is_called_without_version(callee, {call for _, call in calls}, held):
                level[callee.workflow_id] = content
        callees.definitions.update(level)
        calls = {each for key, content in level.items() for each in _find_held_calls(key, content)} - seen
    return Callees(_share_definitions(callees.definitions), callees.drafts)


def _share_definitions(definitions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Use one key for a version that calls the same workflows for every holder: a plan has a copy for each key."""
    keys: dict[str, list[str]] = {}
    for key in definitions:
        keys.setdefault(key.rpartition("/")[2], []).append(key)
    calls = {
        shared: {make_versioned_key(*call) for call in find_callees(definitions[same[0]])}
        for shared, same in keys.items()
    }
    apart = {shared for shared, same in keys.items() if any(definitions[key] != definitions[same[0]] for key in same)}
    while more := {shared for shared, called in calls.items() if "@" in shared and called & apart} - apart:
        apart |= more
    return {
        (key if key.rpartition("/")[2] in apart else key.rpartition("/")[2]): definitions[key] for key in definitions
    }


def _find_held_calls(key: str, definition: Mapping[str, Any]) -> set[_HeldCall]:
    """Return the calls of the definition with a key, and what holds the versions that they name."""
    holder = find_holder(key)
    return {(holder if isinstance(call[1], int) else "", call) for call in find_callees(definition)}


def _require_small(budget: int) -> None:
    """Raise DefinitionInvalid where callees have more bytes than the budget."""
    if budget < 0:
        message = f"the workflows that are called have more than {MAX_CALLEE_BYTES:,} bytes"
        raise DefinitionInvalid([Problem("error", "too_many_callees", "/nodes", message)])


def _is_called_without_version(callee: Callee, calls: set[Call], held: Mapping[str, int]) -> bool:
    """Return whether this is the version that a call without one takes: the held one, or else the newest."""
    if callee.workflow_id in held:
        return callee.version == held[callee.workflow_id] and (callee.workflow_id, None) in calls
    return callee.newest and _calls_newest(callee.workflow_id, callee.version, calls)


async def _read_held(definitions: Definitions, customer_id: str, callee: Callee) -> Mapping[str, int]:
    """Return the versions of callees that a version took when it was published; a draft has taken none."""
    if not callee.version:
        return {}
    return (await definitions.get_version(customer_id, callee.workflow_id, callee.version)).held


def _pin_calls(definition: Mapping[str, Any], held: Mapping[str, int]) -> dict[str, Any]:
    """Return a definition that calls the versions that are held, where it does not say which."""
    return {**definition, "nodes": [_pin_call(node, held) for node in definition.get("nodes") or ()]}


def _pin_call(node: Mapping[str, Any], held: Mapping[str, int]) -> Mapping[str, Any]:
    config = node.get("config")
    if node.get("type") != "workflow" or not isinstance(config, Mapping) or config.get("version"):
        return node
    name = config.get("workflow_id")
    return {**node, "config": {**config, "version": held[name]}} if isinstance(name, str) and name in held else node


def _require_few(number: int) -> None:
    if number > MAX_CALLEES:
        message = f"more than {MAX_CALLEES} workflows are called, by this one and by those that it calls"
        raise DefinitionInvalid([Problem("error", "too_many_callees", "/nodes", message)])


def _choose_version(name: str, version: int | str | None, held: Mapping[str, int]) -> int | None:
    """Return the version to load; None is the newest."""
    if version is None:
        return held.get(name)
    return version if isinstance(version, int) else None


def _calls_newest(workflow_id: str, newest: int, calls: set[Call]) -> bool:
    """Return whether a call runs the newest version, or pins one that does not exist.

    The planner reports a missing version by comparing it with the newest.
    """
    return any(
        name == workflow_id and (version is None or (isinstance(version, int) and version > newest))
        for name, version in calls
    )
