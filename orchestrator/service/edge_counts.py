"""Count which edges the last runs of a version took, from the archive: the usual path, and how unusual a run is."""

import asyncio
import json
import logging
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.service.step_ports import find_port
from orchestrator.service.workflows import Workflows
from orchestrator.store.archive import Archive
from orchestrator.store.ttl_cache import TtlCache

logger = logging.getLogger(__name__)
MAX_RUNS = 100
MAX_COMPRESSED_BYTES = 4_000_000
"""Together; of larger documents fewer are read."""
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class EdgeCount:
    """In how many runs a node was left by a port."""

    source: str
    port: str
    runs: int
    source_runs: int
    """Number of runs in which the node ended."""


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """What the last ended runs of a version took."""

    runs: int
    edges: tuple[EdgeCount, ...]


class EdgeCounter:
    """Counts the edges of the versions of all customers; what an ended run took is remembered."""

    def __init__(self, workflows: Workflows, archive: Archive) -> None:
        self.workflows = workflows
        self.archive = archive
        self._taken: TtlCache[str, frozenset[tuple[str, str]]] = TtlCache(MAX_REMEMBERED)

    async def count(self, customer_id: str | None, workflow_id: str, version: int) -> EdgeCounts:
        """Count the edges that the last runs of a version took; raises WorkflowNotFound."""
        published = await self.workflows.get_version(customer_id, workflow_id, version)
        owner = published.customer_id
        ports: Counter[tuple[str, str]] = Counter()
        nodes: Counter[str] = Counter()
        ids = await self.archive.list_latest(owner, workflow_id, version, MAX_RUNS, MAX_COMPRESSED_BYTES)
        for run_id in ids:
            taken = await self._taken.get(run_id, partial(self._load, owner, run_id))
            ports.update(taken)
            nodes.update({source for source, _ in taken})
        return EdgeCounts(
            len(ids),
            tuple(EdgeCount(source, port, count, nodes[source]) for (source, port), count in sorted(ports.items())),
        )

    async def _load(self, customer_id: str, run_id: str) -> frozenset[tuple[str, str]]:
        document = await self.archive.get(customer_id, run_id)
        try:
            return frozenset() if document is None else await asyncio.to_thread(_read_taken, document)
        except (ValueError, RecursionError, zlib.error):
            logger.exception("the archived document of run %s cannot be decoded", run_id)
            return frozenset()


def _read_taken(document: bytes) -> frozenset[tuple[str, str]]:
    return frozenset(list_taken(json.loads(zlib.decompress(document))["steps"]))


def list_taken(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the node and the port of each step that has been left by one."""
    for step in steps:
        decision, output = step.get("decision"), step.get("output_data")
        port = find_port(step["id"], step["status"], bool(step.get("completed_at")), decision, output)
        if port is not None:
            yield step["node_id"], port
