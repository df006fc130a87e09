"""Regions and ranks: which scope each node belongs to, and in what order a scope runs (SPEC §2.3, §2.4).

A port `body` or `branch <n>` becomes a node of its own between owner and targets; what that node dominates is
its region. Dominators after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.model.node_types import list_ports
from orchestrator.planner.dominators import compute_immediate_dominators, compute_reverse_postorder
from orchestrator.planner.graph import Graph, remove_duplicates


@dataclass(slots=True)
class Region:
    """The whole graph, the body of a loop, or a branch of a parallel."""

    owner: int | None
    port: str
    parent: "Region | None" = None
    """The region that the owner is in."""
    depth: int = 0
    entries: list[int] = field(default_factory=list)
    ranked: list[int] = field(default_factory=list)
    """Its own nodes, in order of rank."""
    exits: list[int] = field(default_factory=list)
    """Nodes outside that paths inside lead to."""


@dataclass(slots=True)
class Regions:
    """The tree of regions of a graph."""

    graph: Graph
    whole: Region
    innermost: list[Region | None]
    """The innermost region of each node; `None` for what is never reached."""
    inside: dict[int, list[Region]]
    """Of each loop and parallel: its regions, in order."""

    def iterate_enclosing(self, number: int) -> Iterator[Region]:
        """Give the regions a node is in, innermost first."""
        region = self.innermost[number]
        while region is not None:
            yield region
            region = region.parent

    def ends_path(self, source: int, target: int) -> bool:
        """Tell an edge back to a loop that encloses its source."""
        if self.graph.nodes[target].type != "loop":
            return False
        return any(region.owner == target for region in self.iterate_enclosing(source))

    def iterate_onward(self, number: int) -> Iterator[tuple[str, int]]:
        """Give `(port, node)` for every way on that is not into a region, in port order."""
        ports = self.graph.successors[number]
        for port in list_ports(self.graph.nodes[number]):
            if port in ("body", "branch"):
                continue
            for target in ports.get(port, ()):
                yield port, target
            if port == "next":
                for region in self.inside.get(number, ()):
                    for target in region.exits:
                        yield "left", target


def find_regions(graph: Graph) -> Regions:
    """Find all regions and rank them."""
    successors, owners = _insert_region_nodes(graph)
    order = compute_reverse_postorder(successors, len(successors) - 1)
    parents = compute_immediate_dominators(successors, order)
    whole = Region(None, "")
    region_nodes = {number: Region(owner, port) for number, (owner, port) in owners.items()}
    innermost: list[Region | None] = [None] * len(graph.nodes)
    inside: dict[int, list[Region]] = {}
    for number in order[1:]:
        dominator = parents[number]
        around = whole if dominator == order[0] else region_nodes.get(dominator) or innermost[dominator]
        if number in region_nodes:
            region = region_nodes[number]
            region.parent = around
            region.depth = around.depth + 1 if around else 0
            inside.setdefault(owners[number][0], []).append(region)
        else:
            innermost[number] = around
    for regions in inside.values():
        regions.sort(key=lambda region: _read_branch_index(region.port))
    tree = Regions(graph, whole, innermost, inside)
    _rank_regions(tree)
    return tree


def _read_branch_index(port: str) -> int:
    return int(port.removeprefix("branch ")) if port != "body" else 0


def _insert_region_nodes(graph: Graph) -> tuple[list[list[int]], dict[int, tuple[int, str]]]:
    """Put a node between each owner and what its region begins with; the last node is the start."""
    successors: list[list[int]] = [[] for _ in graph.nodes]
    owners: dict[int, tuple[int, str]] = {}
    for number, ports in enumerate(graph.successors):
        for port, targets in ports.items():
            if port == "body" or port.startswith("branch "):
                owners[len(successors)] = (number, port)
                successors[number].append(len(successors))
                successors.append(list(targets))
            else:
                successors[number].extend(targets)
    successors.append(list(graph.starts))
    return successors, owners


def _rank_regions(regions: Regions) -> None:
    """Order the nodes of every region, the innermost first: an outer one needs to know what they lead to."""
    inner = [region for listed in regions.inside.values() for region in listed]
    for region in [*sorted(inner, key=lambda region: -region.depth), regions.whole]:
        region.entries = _find_entries(regions, region)
        region.ranked = _rank_nodes(regions, region)
        left = [target for target in region.entries if regions.innermost[target] is not region]
        for number in region.ranked:
            left += [
                target
                for _, target in regions.iterate_onward(number)
                if regions.innermost[target] is not region and not regions.ends_path(number, target)
            ]
        region.exits = remove_duplicates(left)


def _find_entries(regions: Regions, region: Region) -> list[int]:
    owner = region.owner
    if owner is None:
        return regions.graph.starts
    return [
        target
        for target in regions.graph.successors[owner][region.port]
        if not regions.ends_path(owner, target) and not (region.port == "body" and target == owner)
    ]


def _rank_nodes(regions: Regions, region: Region) -> list[int]:
    """Walk depth first, children last to first, and number in reverse postorder (docs/flow.md)."""
    innermost = regions.innermost

    def children(number: int) -> Iterator[int]:
        return iter([target for _, target in regions.iterate_onward(number)][::-1])

    seen: set[int] = set()
    postorder: list[int] = []
    for entry in reversed(region.entries):
        if entry in seen or innermost[entry] is not region:
            continue
        seen.add(entry)
        stack = [(entry, children(entry))]
        while stack:
            number, rest = stack[-1]
            for target in rest:
                if target not in seen and innermost[target] is region:
                    seen.add(target)
                    stack.append((target, children(target)))
                    break
            else:
                stack.pop()
                postorder.append(number)
    return postorder[::-1]
