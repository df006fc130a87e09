"""Find and load the workflows that a definition calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import LATEST
from orchestrator.planner.calls import Call, find_callees
from orchestrator.store.workflows import Definitions

MAX_CALLEES = 200
MAX_CALLEE_BYTES = 8_000_000
"""Of all definitions that are called, as JSON: a run can start with less than one million. Decoding takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Callees:
    """The definitions that a definition calls, directly or indirectly."""

    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By ID for the version that is held, or the newest; by `id@version` for a pinned one and for `latest`."""
    drafts: set[str] = field(default_factory=set)
    """IDs of those that have never been published."""


async def load_callees(
    definitions: Definitions,
    customer_id: str,
    definition: Mapping[str, Any],
    held: Mapping[str, int] = MappingProxyType({}),
) -> Callees:
    """Load the definitions that are called, level by level, with one query for each level.

    `held` has the versions of callees that the caller took when it was published. Missing workflows are left out.
    Raises DefinitionInvalid where there are more than MAX_CALLEES.
    """
    callees = Callees()
    seen: set[Call] = set()
    calls = find_callees(definition)
    room = MAX_CALLEE_BYTES
    while calls:
        seen |= calls
        _require_few(len(seen))
        # They are decoded on the event loop, and sent to a process.
        wanted = {(name, _choose_version(name, version, held)) for name, version in calls}
        room -= await definitions.measure_callees(customer_id, wanted)
        if room < 0:
            message = f"the workflows that are called have more than {MAX_CALLEE_BYTES:,} bytes"
            raise DefinitionInvalid([Problem("error", "too_many_callees", "/nodes", message)])
        level: dict[str, dict[str, Any]] = {}
        for callee in await definitions.load_callees(customer_id, wanted):
            content = {**callee.definition, "version": callee.version} if callee.version else dict(callee.definition)
            if not callee.version:
                callees.drafts.add(callee.workflow_id)
            if (callee.workflow_id, callee.version) in calls:
                level[f"{callee.workflow_id}@{callee.version}"] = content
            if callee.newest and (callee.workflow_id, LATEST) in calls:
                level[f"{callee.workflow_id}@{LATEST}"] = content
            if callee.workflow_id in held:
                is_taken = callee.version == held[callee.workflow_id] and (callee.workflow_id, None) in calls
            else:
                is_taken = callee.newest and _calls_newest(callee.workflow_id, callee.version, calls)
            if is_taken:
                level[callee.workflow_id] = content
        callees.definitions.update(level)
        calls = {call for content in level.values() for call in find_callees(content)} - seen
    return callees


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
