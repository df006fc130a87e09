"""Check the names that templates and conditions read: whether anything sets them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.errors import ProblemCode
from orchestrator.jsontools.pointer import split_pointer
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language import Name, suggest_minus
from orchestrator.model.definition import Definition, Node
from orchestrator.model.run import RESERVED
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.references import Use, is_template
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.report import Report

ASSIGNEE, REMINDER = "assignee", "/config/approval/reminder/"
"""A reminder is sent to each assignee, whom its parameters name by this variable."""
STEP_FIELDS = ("status", "output", "error")


@dataclass
class Names:
    """The variables that the nodes of a graph set, and the names that they read."""

    definition: Definition
    regions: Regions
    uses: list[list[Use]]
    """The uses of each node."""
    report: Report
    setters: dict[str, list[int]] = field(default_factory=dict)
    sets_anything: bool = False
    """Whether the name of some variable is computed, so that any variable may be set."""

    def __post_init__(self) -> None:
        for number, node in enumerate(self.regions.graph.nodes):
            for name in list_variables_set(node):
                self.setters.setdefault(name, []).append(number)
            if node.type == "set" and any(is_template(key) for key in node.config):
                self.sets_anything = True

    def check(self) -> None:
        """Warn about names that do not exist, and about variables that two branches set."""
        for number, uses in enumerate(self.uses):
            if self.regions.innermost[number] is not None:
                for pointer, name in uses:
                    self._check_use(number, pointer, name)
                    self._check_siblings(number, pointer, name)
        for owner, inside in self.regions.inside.items():
            wins_one = self.regions.graph.nodes[owner].config.get("join") in ("any", 1)
            if len(inside) > 1 and not wins_one:
                self._check_branches(owner, inside)

    def check_notify_uses(self, uses: Iterable[Use]) -> None:
        """Check the steps that `settings.notify` reads."""
        for pointer, name in uses:
            if name.root == "steps":
                self._check_step(pointer, name)
                self._check_step_field(pointer, name)

    def _check_use(self, number: int, pointer: str, name: Name) -> None:
        self._check_minus(pointer, name)
        root = name.root
        if root == "steps":
            self._check_step(pointer, name)
        elif root == "input":
            self._check_input(pointer, name)
        elif root not in (*RESERVED, "secrets") and root not in self.definition.variables:
            self._check_variable(number, pointer, name)

    def _check_minus(self, pointer: str, name: Name) -> None:
        """Warn about `input.total-input.tax`: without spaces the minus belongs to a key, `total-input`."""
        for part in name.path:
            left, _, right = str(part).rpartition("-")
            if left and right in RESERVED:
                message = f"`{part!s:.60}` is one key: names may hold hyphens"
                hint = f"to subtract, put spaces on both sides of the minus: `{left:.60} - {right}`"
                self._warn("unknown_field", pointer, name, message, hint)

    def _check_siblings(self, number: int, pointer: str, name: Name) -> None:
        """Warn where a key of a `set` reads another key of the same `set`, which is not set yet."""
        node = self.regions.graph.nodes[number]
        config = f"{self.regions.graph.pointers[number]}/config"
        if node.type != "set" or name.root not in node.config or not pointer.startswith(f"{config}/"):
            return
        key = split_pointer(pointer.removeprefix(config))[0]
        if key != name.root:
            message = f"{name.root!r:.60} is the value from before this node: all keys of a set are computed at once"
            hint = f"to read the value that this node sets, set {key!r:.60} in a node after it"
            self._warn("set_reads_itself", pointer, name, message, hint)

    def _check_step(self, pointer: str, name: Name) -> None:
        if not name.path:
            return
        step, known = name.path[0], self.regions.graph.index
        if step not in known:
            hint = self.report.suggest(step, known)
            message = f"{name.line}:{name.column}: there is no node {step!r:.60}"
            if not name.optional:
                self.report.add_error("unknown_step", pointer, message, hint)

    def _check_step_field(self, pointer: str, name: Name) -> None:
        if len(name.path) > 1 and name.path[1] not in STEP_FIELDS:
            hint = did_you_mean(name.path[1], STEP_FIELDS) or f"did you mean `output.{name.path[1]}`?"
            self._warn("unknown_field", pointer, name, f"a step has no field {name.path[1]!r:.60}", hint)

    @cached_property
    def precedence(self) -> Precedence:
        """Which nodes may run before which."""
        return Precedence(self.regions)

    @cached_property
    def _inputs(self) -> list[str] | None:
        schema = self.definition.settings.input_schema
        properties = schema.get("properties") if isinstance(schema, dict) else None
        return list(properties) if isinstance(properties, dict) else None

    @cached_property
    def _known_anywhere(self) -> list[str]:
        return [*self.definition.variables, *self.setters, *RESERVED]

    def _check_input(self, pointer: str, name: Name) -> None:
        if self._inputs is None or not name.path or name.path[0] in self._inputs:
            return
        if self.definition.settings.input_schema.get("additionalProperties") is False:
            return  # reported as a field that the input does not have
        hint = did_you_mean(name.path[0], self._inputs)
        if hint is not None:
            message = f"settings.input_schema has no property {name.path[0]!r:.60}"
            self._warn("unknown_input", pointer, name, message, hint)

    def _check_variable(self, number: int, pointer: str, name: Name) -> None:
        root = name.root
        if root in self.list_loop_variables(number) or self.sets_anything:
            return
        if root == ASSIGNEE and REMINDER in pointer:
            return
        if root in self.regions.graph.nodes[number].outputs and "/compensate/" in pointer:
            return  # computed when the node has run
        setters = [setter for setter in self.setters.get(root, ()) if self.regions.innermost[setter] is not None]
        if not setters:
            in_loops = self.list_loop_variables(number)
            known = [*in_loops, *self._known_anywhere] if in_loops else self._known_anywhere
            hint = suggest_minus(root, known) or self.report.suggest(root, known)
            if hint is None and root in (self._inputs or ()):
                hint = f"did you mean `input.{root}`?"
            self._warn("unknown_variable", pointer, name, f"variable {root!r:.60} is never set: it is null", hint)
        elif not any(self.precedence.may_precede(setter, number) for setter in setters):
            setter = self.regions.graph.nodes[setters[0]].id
            self._warn(
                "set_later",
                pointer,
                name,
                f"variable {root!r:.60} is set only by {setter!r}, which does not run before this",
            )

    def _warn(self, code: ProblemCode, pointer: str, name: Name, message: str, hint: str | None = None) -> None:
        # What nothing ever sets is no less a mistake where it may be missing: the default would always be used.
        if not name.optional or code == "unknown_variable":
            self.report.add_warning(code, pointer, f"{name.line}:{name.column}: {message}", hint)

    def list_loop_variables(self, number: int) -> list[str]:
        """Return the variables of the loops around a node, and of the node itself where it is a loop."""
        return list_loop_variables(self.regions, number)

    def _check_branches(self, owner: int, inside: list[Region]) -> None:
        """Warn when two branches set the same variable: after the join the later branch wins."""
        graph = self.regions.graph
        first: dict[str, int] = {}
        for index, region in enumerate(inside):
            for number in iterate_members(self.regions, region):
                for name in list_variables_set(graph.nodes[number]):
                    if first.setdefault(name, index) != index:
                        message = f"branches {first[name]} and {index} both set {name!r:.60}: branch {index} wins"
                        self.report.add_warning("variable_conflict", graph.pointers[owner], message)


def list_loop_variables(regions: Regions, number: int) -> list[str]:
    """Return the variables of the loops around a node, and of the node itself where it is a loop."""
    nodes = regions.graph.nodes
    owners = [region.owner for region in regions.iterate_enclosing(number)]
    loops = [nodes[owner] for owner in (number, *owners) if owner is not None and nodes[owner].type == "loop"]
    names = [loop.item_variable or "item" for loop in loops]
    return [*names, *(f"{name}_index" for name in names)]


def list_variables_set(node: Node) -> Iterator[str]:
    """Yield the variables that a node sets, except computed names."""
    yield from node.outputs
    if node.type == "set":
        yield from (key for key in node.config if not is_template(key))


def iterate_members(regions: Regions, region: Region) -> Iterator[int]:
    """Yield all nodes of a region in order, with those of the regions inside it."""
    for number in region.ranked:
        yield number
        for inner in regions.inside.get(number, ()):
            yield from iterate_members(regions, inner)
