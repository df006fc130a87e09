"""Warn about variables that iterations share by mistake, and about cycles that never let a run rest."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.definition import Definition, Node
from orchestrator.model.node_types import list_ports
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.references import Use
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.report import Report
from orchestrator.planner.scoping import iterate_members, list_loop_variables, list_variables_set

MAX_VARIABLES = 100
"""Variables of one loop that are looked at: for each the body is searched."""
RESTING = ("delay", "wait", "workflow")
"""Types of nodes during which a run gives its worker back, like an action that is an activity."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """Checks loops and cycles."""

    definition: Definition
    regions: Regions
    uses: Sequence[Sequence[Use]]
    registry: Catalogue | None
    report: Report

    def check(self) -> None:
        """Check every loop, and the cycles of every scope."""
        nodes = self.regions.graph.nodes
        everywhere = self._list_setters(range(len(nodes)))
        for owner, inside in self.regions.inside.items():
            if nodes[owner].type == "loop":
                self._check_loop(owner, inside[0], everywhere)
        for region in (self.regions.whole, *(each for inside in self.regions.inside.values() for each in inside)):
            self._check_cycles(region)

    def _check_loop(self, owner: int, body: Region, everywhere: Mapping[str, list[int]]) -> None:
        node, pointer = self.regions.graph.nodes[owner], self.regions.graph.pointers[owner]
        at_once = _runs_at_once(node)
        if not at_once and node.config.get("collect") is None:
            return
        members = list(iterate_members(self.regions, body))
        setters = self._list_setters(members)
        for name in list_loop_variables(self.regions, owner):
            setters.pop(name, None)
        if at_once:
            self._check_shared(body, members, setters, f"{pointer}/config/max_concurrency")
            return
        for at, use in self.uses[owner]:
            name, own = use.root, setters.get(use.root, [])
            if not own or use.optional or not f"{at}/".startswith(f"{pointer}/config/collect/"):
                continue
            # What nothing sets before is reported as missing.
            is_set_before = name in self.definition.variables or len(everywhere[name]) > len(own)
            if is_set_before and self._may_avoid(body, own):
                message = f"{use.line}:{use.column}: {name!r:.60} is set on only some of the paths of the body"
                hint = "on the others it has the value of an earlier iteration: set it first in the body"
                self.report.add_warning("shared_variable", at, message, hint)

    def _check_shared(
        self, body: Region, members: Iterable[int], setters: Mapping[str, list[int]], pointer: str
    ) -> None:
        """Warn where iterations that run at the same time read a variable that they set."""
        readers: dict[str, list[int]] = {}
        for number in members:
            for _, use in self.uses[number]:
                readers.setdefault(use.root, []).append(number)
        for name in [name for name in setters if name in readers][:MAX_VARIABLES]:
            if self._reads_before(body, readers[name], setters[name]):
                message = f"iterations run at the same time, and {name!r:.60} is read and set in them"
                hint = "each reads the value from before the loop: use `collect`, or max_concurrency 1"
                self.report.add_warning("shared_variable", pointer, message, hint)

    def _list_setters(self, numbers: Iterable[int]) -> dict[str, list[int]]:
        setters: dict[str, list[int]] = {}
        for number in numbers:
            for name in list_variables_set(self.regions.graph.nodes[number]):
                setters.setdefault(name, []).append(number)
        return setters

    def _reads_before(self, body: Region, readers: Iterable[int], setters: Sequence[int]) -> bool:
        """Return whether a node of a body may read a variable before one of its iteration has set it."""
        last = {self._find_in(body, number) for number in setters}
        reached = self._reach(body, last)
        places = {self._find_in(body, number) for number in readers}
        return any(place in reached and (place not in last or place in setters) for place in places)

    def _may_avoid(self, body: Region, setters: list[int]) -> bool:
        """Return whether a path leads through a body past all nodes that set a variable."""
        avoided = {self._find_in(body, number) for number in setters}
        return any(
            all(self.regions.innermost[target] is not body for target in targets)
            for number in self._reach(body, avoided) - avoided
            for targets in self._list_targets(number)
        )

    def _reach(self, region: Region, last: Collection[int | None]) -> set[int]:
        """Return the nodes of a region that paths reach which end at some of them."""
        queue = [number for number in region.entries if self.regions.innermost[number] is region]
        reached = set(queue)
        while queue:
            number = queue.pop()
            for target in () if number in last else self._iterate_inside(region, number):
                if target not in reached:
                    reached.add(target)
                    queue.append(target)
        return reached

    def _iterate_inside(self, region: Region, number: int) -> Iterator[int]:
        for _, target in self.regions.iterate_onward(number):
            if self.regions.innermost[target] is region:
                yield target

    def _list_targets(self, number: int) -> Iterable[list[int]]:
        """Return the targets of each port by which a node is left that does not fail."""
        targets: dict[str, list[int]] = {
            port: [] for port in list_ports(self.regions.graph.nodes[number]) if port not in ("body", "branch", "error")
        }
        for port, target in self.regions.iterate_onward(number):
            targets.setdefault("next" if port == "exit" else port, []).append(target)
        return targets.values()

    def _find_in(self, region: Region, number: int) -> int | None:
        """Return the node of a region that contains another one, or is it."""
        found: int | None = number
        while found is not None:
            innermost = self.regions.innermost[found]
            if innermost is region:
                return found
            found = innermost.owner if innermost is not None else None
        return None

    def _check_cycles(self, region: Region) -> None:
        """Warn about a cycle of a scope without a rest: what is left when nodes without an edge in or out are taken."""
        onward: dict[int, list[int]] = {number: [] for number in region.ranked if not self._rests(number)}
        backward: dict[int, list[int]] = {number: [] for number in onward}
        for number in onward:
            for target in self._iterate_inside(region, number):
                if target in onward:
                    onward[number].append(target)
                    backward[target].append(number)
        left = _keep_cycles(backward, onward, _keep_cycles(onward, backward, set(onward)))
        first = next((number for number in region.ranked if number in left), None)
        if first is not None:
            node = self.regions.graph.nodes[first]
            message = f"the cycle from {node.id!r:.60} back to it has no delay, wait or action that is an activity"
            hint = "add a delay, or use a loop: it would keep the worker busy"
            self.report.add_warning("busy_cycle", self.regions.graph.pointers[first], message, hint)

    def _rests(self, number: int) -> bool:
        """Return whether a run gives its worker back at a node, or at one inside it."""
        inside = self.regions.inside.get(number, ())
        members = (member for each in inside for member in iterate_members(self.regions, each))
        return any(self._is_rest(self.regions.graph.nodes[each]) for each in (number, *members))

    def _is_rest(self, node: Node) -> bool:
        return node.type in RESTING or (node.type == "action" and not self._is_local(node))

    def _is_local(self, node: Node) -> bool:
        spec = self.registry.get(node.action) if self.registry is not None else None
        execution = node.execution or self.definition.settings.execution or (spec.execution if spec else "")
        return execution == "local"


def _keep_cycles(onward: Mapping[int, list[int]], backward: Mapping[int, list[int]], numbers: set[int]) -> set[int]:
    """Return the nodes without those that no cycle leads to."""
    edges = {number: sum(source in numbers for source in backward[number]) for number in numbers}
    queue = [number for number in numbers if not edges[number]]
    left = set(numbers)
    while queue:
        number = queue.pop()
        left.discard(number)
        for target in onward[number]:
            if target in left:
                edges[target] -= 1
                if not edges[target]:
                    queue.append(target)
    return left


def _runs_at_once(node: Node) -> bool:
    limit = node.config.get("max_concurrency")
    return isinstance(limit, int) and limit > 1
