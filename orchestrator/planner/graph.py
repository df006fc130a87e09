"""Build the graph: the nodes that each port of a node leads to (SPEC §2.1, docs/flow.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.jsontools.suggestions import join_names
from orchestrator.model.definition import TRIGGER, Definition, Node
from orchestrator.model.node_types import KINDS, list_ports, list_target_lists
from orchestrator.planner.report import Report, suggest_choice

NEXT = "next"


@dataclass(slots=True)
class Graph:
    """Nodes by number, and the edges between them, both drawn and listed."""

    nodes: list[Node]
    pointers: list[str]
    """JSON Pointer of each node."""
    index: dict[str, int]
    successors: list[dict[str, list[int]]]
    """The targets of each node, by port. A branch of a parallel is the port `branch <index>`."""
    starts: list[int] = field(default_factory=list)
    listings: list[tuple[str, int, str, int]] = field(default_factory=list)
    """Each id in `body`, `true_branch` and other lists: `(pointer, owner, port, target)`."""
    untyped: frozenset[str] = frozenset()
    """Ids of the nodes of no known type: they exist, but nothing is known about their ports."""


def build_graph(definition: Definition, usable: Sequence[tuple[int, Node]], report: Report) -> Graph:
    """Read lists and edges; report unknown nodes and ports."""
    nodes = [node for _, node in usable]
    graph = Graph(
        nodes,
        [f"/nodes/{index}" for index, _ in usable],
        {node.id: number for number, node in enumerate(nodes)},
        [{} for _ in nodes],
        untyped=frozenset(node.id for node in definition.nodes if node.type not in KINDS) - {node.id for node in nodes},
    )
    edges = _read_edges(definition, graph, report)
    lists = [_read_lists(graph, number, report) for number in range(len(nodes))]
    _add_lists(graph, lists, edges)
    _add_edges(graph, edges)
    graph.starts += [number for number, node in enumerate(nodes) if node.type == TRIGGER]
    graph.starts = remove_duplicates(graph.starts)
    return graph


def _read_lists(graph: Graph, number: int, report: Report) -> list[tuple[str, list[int]]]:
    """Return the lists of a node as `(port, targets)`."""
    lists = []
    for path, port, ids in list_target_lists(graph.nodes[number]):
        targets: list[int] = []
        for at, node_id in enumerate(ids):
            pointer = f"{graph.pointers[number]}{path}/{at}"
            target = graph.index.get(node_id)
            if target is None and node_id in graph.untyped:
                continue
            if target is None:
                hint = report.suggest(node_id, graph.index)
                report.add_error("unknown_node", pointer, f"there is no node {node_id!r:.60}", hint)
            else:
                targets.append(target)
                graph.listings.append((pointer, number, port, target))
        lists.append((port, remove_duplicates(targets)))
    return lists


def _read_edges(definition: Definition, graph: Graph, report: Report) -> list[tuple[int | None, str, int]]:
    """Return the valid edges as `(source, port, target)`; the source of a start is None."""
    edges: list[tuple[int | None, str, int]] = []
    for index, edge in enumerate(definition.edges):
        pointer = f"/edges/{index}"
        source = graph.index.get(edge.source)
        starts = source is None and edge.source == TRIGGER
        if source is None and not starts and edge.source not in graph.untyped:
            _report_unknown_end(edge.source, f"{pointer}/source", (*graph.index, TRIGGER), report)
        target = graph.index.get(edge.target)
        if target is None and edge.target not in graph.untyped:
            _report_unknown_end(edge.target, f"{pointer}/target", graph.index, report)
        usable_port = starts or (
            source is not None and _check_port(graph.nodes[source], edge.condition, pointer, report)
        )
        if starts and edge.condition not in ("", NEXT):
            report.add_error(
                "unknown_port", f"{pointer}/condition", f"the start has no port {edge.condition!r:.60}", "remove it"
            )
        if usable_port and target is not None:
            edges.append((source, edge.condition or NEXT, target))
    return edges


def _report_unknown_end(node_id: str, pointer: str, known: Iterable[str], report: Report) -> None:
    if node_id:
        report.add_error("unknown_node", pointer, f"there is no node {node_id!r:.60}", report.suggest(node_id, known))
    else:
        report.add_error("missing_end", pointer, f"the edge has no {pointer.rpartition('/')[2]}", "name a node")


def _check_port(node: Node, port: str, pointer: str, report: Report) -> bool:
    ports = list_ports(node)
    if (port or NEXT) in ports:
        return True
    if not ports:
        message = f"no edge can leave {node.id!r}: a node of type {node.type} has no ports"
        report.add_error("unknown_port", pointer, message, "remove the edge")
    elif not port:
        report.add_error(
            "missing_port",
            pointer,
            f"the edge from {node.id!r} names no port",
            f"set its `condition` to one of: {join_names(ports)}",
        )
    else:
        message = f"node {node.id!r} has no port {port!r:.60}"
        report.add_error("unknown_port", f"{pointer}/condition", message, suggest_choice(port, ports))
    return False


def _add_lists(
    graph: Graph, lists: list[list[tuple[str, list[int]]]], edges: list[tuple[int | None, str, int]]
) -> None:
    adjacency: list[list[int]] = [[] for _ in graph.nodes]
    for source, _, target in edges:
        if source is not None:
            adjacency[source].append(target)
    for number, own in enumerate(lists):
        for _, ids in own:
            adjacency[number].extend(ids)
    for number, own in enumerate(lists):
        for port, ids in own:
            graph.successors[number][port] = reduce_to_entries(ids, number, adjacency)


def reduce_to_entries(ids: list[int], owner: int, adjacency: list[list[int]]) -> list[int]:
    """Drop the ids that another one leads to; of two that lead to each other, keep the first."""
    if len(ids) < 2:
        return ids
    first = _drop_reached(ids, owner, adjacency)
    return _drop_reached(first[::-1], owner, adjacency)[::-1]


def _drop_reached(ids: list[int], owner: int, adjacency: list[list[int]]) -> list[int]:
    """Return the ids that no earlier one leads to."""
    entries: list[int] = []
    reached: set[int] = set()
    for number in ids:
        if number in reached:
            continue
        entries.append(number)
        stack = [number]
        while stack:
            here = stack.pop()
            if here == owner:
                continue
            fresh = [target for target in adjacency[here] if target not in reached]
            reached.update(fresh)
            stack.extend(fresh)
    return entries


def _add_edges(graph: Graph, edges: list[tuple[int | None, str, int]]) -> None:
    in_branches: dict[int, set[int]] = {}
    for _, owner, port, target in graph.listings:
        if port.startswith("branch "):
            in_branches.setdefault(owner, set()).add(target)
    for source, port, target in edges:
        if source is None:
            graph.starts.append(target)
        elif port == "branch":
            known = in_branches.setdefault(source, set())
            if target not in known:
                known.add(target)
                count = sum(1 for name in graph.successors[source] if name.startswith("branch "))
                graph.successors[source][f"branch {count}"] = [target]
        else:
            targets = graph.successors[source].setdefault(port, [])
            if target not in targets:
                targets.append(target)


def remove_duplicates(numbers: Iterable[int]) -> list[int]:
    """Return the numbers in order, each once."""
    return list(dict.fromkeys(numbers))
