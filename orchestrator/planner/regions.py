"""Find regions and ranks: the scope of each node, and the order in which a scope runs (SPEC §2.3, §2.4).

A region is the whole graph, the body of a loop, or a branch of a parallel. A node is in a body or branch if every
path from the start to it leads through that body or branch, that is, by dominance. To compute it, each port `body`
or `branch <n>` becomes a node of its own between the owner and its targets, here `(each.body)`; the region is what
that node dominates.

    trigger -> each      each -body-> charge      charge -> mail      mail -> report      each -> report

    trigger ── each ── (each.body) ── charge ── mail
                │                                │
                └────────────── report ──────────┘

`charge` and `mail` are the region of the body: no path avoids `(each.body)`. `report` is not, as the edge from `each`
reaches it too. The edge from `mail` to `report` is an exit of the body: the parent scope follows it, once, after the
loop has ended. So for ranks it is an edge from `each`, and inner regions are ranked first: their exits are edges of
the region around them.
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
    """The innermost region of the owner."""
    depth: int = 0
    entries: list[int] = field(default_factory=list)
    ranked: list[int] = field(default_factory=list)
    """The nodes whose innermost region this is, by rank."""
    exits: list[int] = field(default_factory=list)
    """Nodes outside the region that edges inside it lead to."""


@dataclass(slots=True)
class Regions:
    """The tree of regions of a graph."""

    graph: Graph
    whole: Region
    innermost: list[Region | None]
    """The innermost region of each node; None for a node that is never reached."""
    inside: dict[int, list[Region]]
    """The regions of each loop and parallel, in order."""

    def iterate_enclosing(self, number: int) -> Iterator[Region]:
        """Yield the regions that contain a node, innermost first."""
        region = self.innermost[number]
        while region is not None:
            yield region
            region = region.parent

    def ends_path(self, source: int, target: int) -> bool:
        """Return whether an edge leads back to a loop around its source: it ends that path of the iteration."""
        if self.graph.nodes[target].type != "loop":
            return False
        return any(region.owner == target for region in self.iterate_enclosing(source))

    def iterate_onward(self, number: int) -> Iterator[tuple[str, int]]:
        """Yield `(port, target)` for the edges that do not enter a region, in port order; exits follow `next`."""
        ports = self.graph.successors[number]
        for port in list_ports(self.graph.nodes[number]):
            if port in ("body", "branch"):
                continue
            for target in ports.get(port, ()):
                yield port, target
            if port == "next":
                for region in self.inside.get(number, ()):
                    for target in region.exits:
                        yield "exit", target


def find_regions(graph: Graph) -> Regions:
    """Return the tree of regions of a graph, each with its nodes ranked."""
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
    """Insert a node between each owner and the targets of its region; the last node is the start."""
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
    """Rank the nodes of every region, inner regions first: a region needs the exits of those inside it."""
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
    """Return the nodes of a region in reverse postorder (docs/flow.md).

    Children are visited last to first, so that in the reversed order the first child comes first.
    """
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
