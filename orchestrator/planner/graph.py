"""The graph as ways: which nodes each port of a node leads to (SPEC §2.1, docs/flow.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.jsontools.suggestions import did_you_mean, listed
from orchestrator.model.definition import TRIGGER, Definition, Node
from orchestrator.model.node_types import lists_of, ports_of
from orchestrator.planner.report import Report

NEXT = "next"


@dataclass(slots=True)
class Graph:
    """Nodes by number, and the ways between them."""

    nodes: list[Node]
    pointers: list[str]
    """JSON Pointer of each node."""
    index: dict[str, int]
    ways: list[dict[str, list[int]]]
    """Of each node: port to the nodes it leads to. A branch is the port `branch <index>`."""
    starts: list[int] = field(default_factory=list)
    named: list[tuple[str, int, str, int]] = field(default_factory=list)
    """Every listed id: `(pointer, owner, port, node)`."""


def build(definition: Definition, usable: Sequence[tuple[int, Node]], report: Report) -> Graph:
    """Read lists and edges; report ends that do not exist and ports that do not fit."""
    nodes = [node for _, node in usable]
    graph = Graph(
        nodes,
        [f"/nodes/{place}" for place, _ in usable],
        {node.id: number for number, node in enumerate(nodes)},
        [{} for _ in nodes],
    )
    edges = _edges(definition, graph, report)
    lists = [_listed(graph, number, report) for number in range(len(nodes))]
    _add_lists(graph, lists, edges)
    _add_edges(graph, edges)
    graph.starts += [number for number, node in enumerate(nodes) if node.type == TRIGGER]
    graph.starts = unique(graph.starts)
    return graph


def _listed(graph: Graph, number: int, report: Report) -> list[tuple[str, list[int]]]:
    """Give the lists of a node as `(port, nodes)`."""
    found = []
    for place, port, ids in lists_of(graph.nodes[number]):
        known: list[int] = []
        for at, node_id in enumerate(ids):
            pointer = f"{graph.pointers[number]}{place}/{at}"
            target = graph.index.get(node_id)
            if target is None:
                hint = report.did_you_mean(node_id, graph.index)
                report.error("unknown_node", pointer, f"there is no node {node_id!r}", hint)
            else:
                known.append(target)
                graph.named.append((pointer, number, port, target))
        found.append((port, unique(known)))
    return found


def _edges(definition: Definition, graph: Graph, report: Report) -> list[tuple[int | None, str, int]]:
    """Give the edges that lead somewhere, as `(source, port, target)`; no source is the start."""
    found: list[tuple[int | None, str, int]] = []
    for place, edge in enumerate(definition.edges):
        pointer = f"/edges/{place}"
        source = graph.index.get(edge.source)
        starts = source is None and edge.source == TRIGGER
        if source is None and not starts:
            _unknown_end(edge.source, f"{pointer}/source", (*graph.index, TRIGGER), report)
        target = graph.index.get(edge.target)
        if target is None:
            _unknown_end(edge.target, f"{pointer}/target", graph.index, report)
        fits = starts or (source is not None and _port_fits(graph.nodes[source], edge.condition, pointer, report))
        if starts and edge.condition not in ("", NEXT):
            report.error("unknown_port", f"{pointer}/condition", f"the start has no port {edge.condition!r}")
        if fits and target is not None:
            found.append((source, edge.condition or NEXT, target))
    return found


def _unknown_end(node_id: str, pointer: str, known: Iterable[str], report: Report) -> None:
    if node_id:
        report.error("unknown_node", pointer, f"there is no node {node_id!r}", report.did_you_mean(node_id, known))
    else:
        report.error("missing_end", pointer, "the edge names no node here")


def _port_fits(node: Node, port: str, pointer: str, report: Report) -> bool:
    ports = ports_of(node)
    if (port or NEXT) in ports:
        return True
    if not ports:
        report.error("unknown_port", pointer, f"nothing follows {node.id!r}: an {node.type} node ends its path")
    elif not port:
        report.error(
            "missing_port",
            pointer,
            f"the edge out of {node.id!r} does not say which way it goes",
            f"set its `condition` to one of {listed(ports)}",
        )
    else:
        hint = did_you_mean(port, ports) or f"it has {listed(ports)}"
        report.error("unknown_port", f"{pointer}/condition", f"{node.id!r} has no port {port!r}", hint)
    return False


def _add_lists(
    graph: Graph, lists: list[list[tuple[str, list[int]]]], edges: list[tuple[int | None, str, int]]
) -> None:
    loose: list[list[int]] = [[] for _ in graph.nodes]
    for source, _, target in edges:
        if source is not None:
            loose[source].append(target)
    for number, own in enumerate(lists):
        for _, ids in own:
            loose[number].extend(ids)
    for number, own in enumerate(lists):
        for port, ids in own:
            graph.ways[number][port] = entries_of(ids, number, loose)


def entries_of(ids: list[int], owner: int, loose: list[list[int]]) -> list[int]:
    """Drop the ids that another one leads to; of two that lead to each other the first stays."""
    if len(ids) < 2:
        return ids
    first = _unreached(ids, owner, loose)
    return _unreached(first[::-1], owner, loose)[::-1]


def _unreached(ids: list[int], owner: int, loose: list[list[int]]) -> list[int]:
    """Keep each id that none before it leads to."""
    kept: list[int] = []
    reached: set[int] = set()
    for number in ids:
        if number in reached:
            continue
        kept.append(number)
        waiting = [number]
        while waiting:
            here = waiting.pop()
            if here == owner:
                continue
            fresh = [target for target in loose[here] if target not in reached]
            reached.update(fresh)
            waiting.extend(fresh)
    return kept


def _add_edges(graph: Graph, edges: list[tuple[int | None, str, int]]) -> None:
    in_branches: dict[int, set[int]] = {}
    for _, owner, port, target in graph.named:
        if port.startswith("branch "):
            in_branches.setdefault(owner, set()).add(target)
    for source, port, target in edges:
        if source is None:
            graph.starts.append(target)
        elif port == "branch":
            known = in_branches.setdefault(source, set())
            if target not in known:
                known.add(target)
                count = sum(1 for name in graph.ways[source] if name.startswith("branch "))
                graph.ways[source][f"branch {count}"] = [target]
        else:
            targets = graph.ways[source].setdefault(port, [])
            if target not in targets:
                targets.append(target)


def unique(numbers: Iterable[int]) -> list[int]:
    """Keep the first of each."""
    return list(dict.fromkeys(numbers))
