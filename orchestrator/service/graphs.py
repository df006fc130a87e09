"""Draw graphs of workflows and runs, off the event loop."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.drawing.formats import DRAWING_REVISION, Format, draw, draw_plan
from orchestrator.errors import RunNotFound
from orchestrator.service.plans import Plans
from orchestrator.service.runs import Operations
from orchestrator.store.records import Stored, Version
from orchestrator.store.workflows import WorkflowNotFound
from orchestrator.temporal.payloads import measure_json

SMALL_BYTES = 20_000
"""Size of a definition up to which it is drawn in a thread: it takes less than 50 ms of processor time."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What to draw, with the tag that tells it from others."""

    customer_id: str
    source: Mapping[str, Any]
    draw: Callable[[Mapping[str, Any], Format, Collection[str] | None], str]
    """A function of a module: it may be called in another process."""
    tag: str

    def format_etag(self, drawing_format: Format, opened: Collection[str] | None = None) -> str:
        """Return the ETag of a drawing."""
        folding = "" if opened is None else f"-{_hash_json(sorted(opened))}"
        return f'"{self.tag}-{drawing_format}-{DRAWING_REVISION}{folding}"'


class Graphs:
    """Finds and draws graphs; large ones in a process, within its limits of time and memory."""

    def __init__(self, plans: Plans, operations: Operations) -> None:
        self.plans = plans
        self.operations = operations

    async def draw(self, graph: Graph, drawing_format: Format, opened: Collection[str] | None = None) -> str:
        """Return a graph in a format, as far as it can be read. Raises TooCostly and Busy."""
        if measure_json(graph.source) <= SMALL_BYTES:
            return await asyncio.to_thread(graph.draw, graph.source, drawing_format, opened)
        return await self.plans.call(graph.customer_id, graph.draw, graph.source, drawing_format, opened)

    async def find_run_graph(self, customer_id: str | None, run_id: str) -> Graph:
        """Return the graph of the plan that a run executes; raises RunNotFound.

        It is drawn from the definition where the published version has this plan, else from the plan itself. For a run
        that Temporal no longer stores, it is that of the published version.
        """
        try:
            await self.operations.require(customer_id, run_id)
            recorded = await self.operations.runs.reader.read_recorded_plan(run_id)
        except RunNotFound:
            summary = await self.operations.index.get(customer_id, run_id)
            if summary is None:
                raise
            version = await self._find_version(summary.customer_id, summary.workflow_id, summary.workflow_version)
            if version is None:
                raise
            return make_version_graph(version)
        plan = recorded.plan
        version = await self._find_version(recorded.customer_id, str(plan.get("id")), plan.get("version", 1))
        if version is not None and version.plan == plan:
            return make_version_graph(version)
        tag = await asyncio.to_thread(_hash_json, plan)
        source = {"plan": plan, "trigger_type": recorded.trigger_type}
        return Graph(recorded.customer_id, source, draw_plan, f"p{tag}")

    async def _find_version(self, customer_id: str, workflow_id: str, version: int) -> Version | None:
        if not version:
            return None
        try:
            return await self.plans.definitions.get_version(customer_id, workflow_id, version)
        except WorkflowNotFound:
            return None


def make_unsaved_graph(customer_id: str, definition: Mapping[str, Any]) -> Graph:
    """Return the graph of a definition that is not stored."""
    return Graph(customer_id, definition, draw, "")


def make_draft_graph(stored: Stored) -> Graph:
    """Return the graph of a working copy; its creation time tells it from a deleted one with the same id."""
    tag = f"{stored.revision}-{int(stored.created_at.timestamp() * 1_000_000):x}"
    return Graph(stored.customer_id, stored.definition, draw, tag)


def make_version_graph(version: Version) -> Graph:
    """Return the graph of a published version."""
    tag = f"v{version.version}-{int(version.published_at.timestamp() * 1_000_000):x}"
    return Graph(version.customer_id, version.definition, draw, tag)


def _hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
