"""Say why a name may be missing: a way to the reader that passes none of the nodes that set it."""

from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from orchestrator.jsontools.suggestions import join_names
from orchestrator.model.definition import Node
from orchestrator.model.node_types import list_ports
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.scoping import list_variables_set

MAX_NAMES = 3
MAX_EXPLAINED = 20
"""Names whose ways are searched: each search goes through the graph."""


@dataclass
class Witness:
    """Finds ways through a graph."""

    regions: Regions
    precedence: Precedence
    explained: int = 0
    _predecessors: dict[int, dict[int, list[int]]] = field(default_factory=dict)

    def list_setters(self, name: str) -> list[int]:
        """Return the nodes that set a variable."""
        nodes = self.regions.graph.nodes
        return [number for number, node in enumerate(nodes) if name in list_variables_set(node)]

    def explain(self, setters: Sequence[int], reader: int, what: str) -> str:
        """Return a sentence: `only a sets it, and a does not run when c is false`."""
        nodes = self.regions.graph.nodes
        names = join_names([f"`{nodes[number].id}`" for number in setters[:MAX_NAMES]])
        first = f"only {names} sets it" if what == "sets it" and names else ""
        self.explained += 1
        reason = self._find_reason(setters, reader) if self.explained <= MAX_EXPLAINED else ""
        return ", and ".join(part for part in (first, reason) if part) or "another path leads here"

    def _find_reason(self, setters: Sequence[int], reader: int) -> str:
        """Return where the way that passes no setter leaves the ways that do."""
        nodes = self.regions.graph.nodes
        for setter in setters:
            common = self.precedence.find_common(setter, reader)
            if common is None:
                continue
            region, first, then = common
            if first == then:  # a loop that reads what its body has set
                region, then = self._enter(region, setter, first), -1
                first = self._find_in(region, setter)[0]
            if first != setter and nodes[first].type == "loop":
                return f"the loop `{nodes[first].id}` may have no items"
            decision = self._find_decision(region, setters, then)
            if decision is None and first != setter:
                decision = self._find_decision(self._enter(region, setter, first), setters, -1)
            if decision is not None:
                number, port = decision
                return f"`{nodes[setter].id}` does not run when {_describe(nodes[number], port)}"
            if nodes[first].when is not None:
                return f"`{nodes[first].id}` is skipped when its `when` is false"
            if nodes[setter].on_error in ("skip", "pause"):
                how = (
                    "is skipped when it fails" if nodes[setter].on_error == "skip" else "may be skipped by an operator"
                )
                return f"`{nodes[setter].id}` {how}"
        return ""

    def _enter(self, region: Region, inner: int, owner: int) -> Region:
        """Return the region inside a loop or parallel that contains a node."""
        found = (each for each in self.regions.inside.get(owner, ()) if self._find_in(each, inner))
        return next(found, region)

    def _find_in(self, region: Region, number: int) -> list[int]:
        """Return the node of a region that contains another one, or is it."""
        node: int | None = number
        while node is not None:
            innermost = self.regions.innermost[node]
            if innermost is region:
                return [node]
            node = innermost.owner if innermost is not None else None
        return []

    def _find_decision(self, region: Region, setters: Sequence[int], reader: int) -> tuple[int, str] | None:
        """Return a node, and the port of it that leads past the setters, while another one leads to them.

        The port leads to the reader, or where that is -1 to the end of the scope.
        """
        avoided = {number for setter in setters for number in self._find_in(region, setter)}
        to_setters = self._find_sources(region, avoided, frozenset())
        to_reader = self._find_sources(region, {reader}, avoided) if reader >= 0 else None
        queue = deque(number for number in region.entries if number not in avoided)
        seen = set(queue)
        while queue:
            number = queue.popleft()
            targets = self._list_targets(region, number)
            leading = {port for port, reached in targets.items() if not to_setters.isdisjoint(reached)}
            for port, reached in targets.items():
                passes = to_reader is None or not to_reader.isdisjoint(reached)
                if passes and port not in leading and leading:
                    return number, port
            fresh = {target for reached in targets.values() for target in reached} - avoided - seen
            seen |= fresh
            queue.extend(sorted(fresh))
        return None

    def _list_targets(self, region: Region, number: int) -> dict[str, list[int]]:
        """Return the nodes of a region that each port of a node leads to."""
        node = self.regions.graph.nodes[number]
        ports = [port for port in list_ports(node) if port not in ("body", "branch", "error")]
        targets: dict[str, list[int]] = {port: [] for port in ports}
        for port, target in self.regions.iterate_onward(number):
            if self.regions.innermost[target] is region:
                targets.setdefault("next" if port == "exit" else port, []).append(target)
        return targets

    def _find_sources(self, region: Region, wanted: Set[int], avoided: Set[int]) -> set[int]:
        """Return the nodes from which some way leads to a wanted one and passes none of those to avoid."""
        predecessors = self._list_predecessors(region)
        found = set(wanted)
        queue = list(found)
        while queue:
            for number in predecessors.get(queue.pop(), ()):
                if number not in found and number not in avoided:
                    found.add(number)
                    queue.append(number)
        return found

    def _list_predecessors(self, region: Region) -> dict[int, list[int]]:
        known = self._predecessors.get(id(region))
        if known is None:
            known = self._predecessors[id(region)] = {}
            for number in region.ranked:
                for _, target in self.regions.iterate_onward(number):
                    known.setdefault(target, []).append(number)
        return known


def _describe(node: Node, port: str) -> str:
    """Return what happens where a node is left by a port, in words."""
    name = f"`{node.id}`"
    match port:
        case "true" | "false":
            return f"{name} is {port}"
        case "error":
            return f"{name} fails"
        case "timeout":
            return f"{name} times out"
        case "next":
            return f"{name} does not fail" if node.type != "wait" else f"{name} receives its event"
        case _:
            return f"{name} takes the port {port!r:.60}"
