"""Follow the data through a graph: what every name may hold when a node starts.

A scope runs its active nodes in the order of their ranks (SPEC §2), so what has run when a node starts follows from the
set of active nodes. The walk goes through these sets, each with the types of all names; two ways into one set are
joined. In

    ask -true-> mark -> send        {ask}          t: missing
        -false-------> send         {mark}         t: missing
                                    {send}         t: text, from mark; missing, from ask: either

`mark` sets `t`, and `send` reads a `t` that may be missing. Loops are walked until nothing changes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from orchestrator.model.definition import Definition, Node
from orchestrator.planner.data_flow import sources
from orchestrator.planner.data_flow.expressions import Inference
from orchestrator.planner.data_flow.joins import (
    close_over_unions,
    combine_exits,
    continues_after_failure,
    has_items,
    merge_branch,
)
from orchestrator.planner.data_flow.narrowing import join_states, narrow
from orchestrator.planner.data_flow.types import (
    ANY,
    MISSING,
    NULL,
    NUMBER,
    State,
    Type,
    add_kinds,
    drop_kinds,
    join,
    make_list,
    make_object,
    type_of,
)
from orchestrator.planner.data_flow.values import infer_json
from orchestrator.planner.data_flow.walk import MAX_ROUNDS, Exits, TooComplex, Walk
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.references import is_template
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.scoping import iterate_members, list_variables_set

MAX_WORK = 3_000_000
"""Names in all states of a walk. A graph that needs more is not checked: what is not known is not reported."""
FAILING = ("action", "workflow", "loop", "parallel")
"""Types of nodes that `settings.on_error` applies to (docs/flow.md)."""

Outcome = tuple[str | None, Exits, dict[str, Type]]
"""How a node was left: its port, or None where it closed its scope; the nodes outside that it reached; the state."""


@dataclass
class Flow:
    """Walks a graph."""

    definition: Definition
    regions: Regions
    registry: Catalogue | None
    reads: Sequence[Collection[str]]
    """The variables, and the steps as `steps.<id>`, that each node reads; a state has no others."""
    called: Mapping[str, Type] = field(default_factory=dict)
    """The outputs of the workflows that nodes call, by the keys of the plan."""
    kept: frozenset[str] = frozenset()
    """Names that a state has to the end, whether they are read or not."""
    final: dict[str, Type] | None = None
    """What is known at the ends of the run that return its variables; None where there are none."""
    seen: dict[int, dict[str, Type]] = field(default_factory=dict)
    """What each node that can start may see."""
    seen_before_pass: dict[int, dict[str, Type]] = field(default_factory=dict)
    """What each loop may see before it decides on a pass."""
    seen_after_body: dict[int, dict[str, Type]] = field(default_factory=dict)
    """What each loop may see after a pass through its body."""
    work: int = 0

    def __post_init__(self) -> None:
        self.fixed = sources.list_fixed_types(self.definition)
        self.nodes = self.regions.graph.nodes
        self.tracked = self.kept.union(*map(frozenset, self.reads))
        self.sets_anything = any(node.type == "set" and any(map(is_template, node.config)) for node in self.nodes)
        self._set_inside: dict[int, list[str]] = {}

    def walk(self) -> None:
        """Walk the whole graph; raises TooComplex."""
        variables = self.definition.variables
        start = {name: sources.declare_variable(variables[name]) for name in variables if name in self.tracked}
        start |= {name: self.fixed[name] for name in ("trigger",) if name in self.tracked}
        ends = self._walk_region(self.regions.whole, start)
        self.final = dict(join_states(list(ends.values()))) if ends else None

    def infer(self, value: Any, state: State) -> Type:
        """Return the type of a value that may hold templates."""
        return infer_json(value, "", Inference(state, self.fixed))

    def infer_output(self, node: Node) -> Type:
        """Return the type of the output of a node that has ended well, as far as others than its data decide it."""
        return sources.infer_output(node, self.registry, self.called)

    def _walk_region(self, region: Region, start: dict[str, Type]) -> dict[Exits, dict[str, Type]]:
        """Return the states at the end of a scope, by the nodes outside that its paths have reached."""
        walk = Walk(self.regions, region, self.spend)
        for number in region.entries:
            walk.activate(number)
        walk.push(walk.active, walk.exits, start)
        dying = {} if walk.cyclic or region is not self.regions.whole else self._list_last_reads(region)
        while walk.queue:
            number, active, exits, state = walk.pop()
            self._see(self.seen, number, state)
            for port, reached, after in self._run_node(number, state):
                for name in dying.get(number, ()):
                    after.pop(name, None)
                if port is None:
                    if region is not self.regions.whole or self.nodes[number].config.get("output") is None:
                        walk.end(exits, after)
                else:
                    walk.leave(number, port, active, exits, reached, after)
        return walk.ends

    def _list_last_reads(self, region: Region) -> dict[int, list[str]]:
        """Return the names that no later node of a scope reads, by the last that does: states need not keep them."""
        last: dict[str, int] = {}
        for number in region.ranked:
            inside = self.regions.inside.get(number, ())
            inner = chain.from_iterable(iterate_members(self.regions, each) for each in inside)
            for member in (number, *inner):
                last.update((name, number) for name in self.reads[member] if name not in self.kept)
        dying: dict[int, list[str]] = {}
        for name, number in last.items():
            dying.setdefault(number, []).append(name)
        return dying

    def _see(self, where: dict[int, dict[str, Type]], number: int, state: State) -> None:
        names = self.reads[number]
        seen = {name: state.get(name, MISSING) for name in names}
        known = where.get(number)
        where[number] = seen if known is None else dict(join_states([known, seen]))
        self.spend(len(names))

    def spend(self, names: int) -> None:
        """Count work; raises TooComplex."""
        self.work += names + 1
        if self.work > MAX_WORK:
            raise TooComplex

    def _run_node(self, number: int, state: dict[str, Type]) -> Iterable[Outcome]:
        """Yield how a node may be left, and with what."""
        node = self.nodes[number]
        if node.when is not None:
            skipped = dict(narrow(node.when, state, holds=False))
            self._set_step(skipped, node, sources.make_step("skipped", NULL))
            yield "next", frozenset(), skipped
            state = dict(narrow(node.when, state, holds=True))
        if self._may_fail(number):
            failed = dict(state)
            self._blur(number, failed)
            left = ANY if node.type == "parallel" else NULL  # what its branches have returned
            self._set_step(failed, node, sources.make_step("failed", left, self._infer_error(node)))
            yield "error", frozenset(), failed
        yield from self._run_type(number, node, state)

    def _run_type(self, number: int, node: Node, state: dict[str, Type]) -> Iterable[Outcome]:
        """Yield how a node is left that neither is skipped nor fails."""
        match node.type:
            case "condition":
                for port, holds in (("true", True), ("false", False)):
                    decided = dict(narrow(node.condition, state, holds=holds))
                    yield self._complete(node, decided, port)
            case "switch":
                cases = node.config.get("cases")
                for port in (*(cases if isinstance(cases, dict) else ()), "default"):
                    yield self._complete(node, dict(self._narrow_case(node, port, state)), port)
            case "set":
                yield self._set_variables(node, state)
            case "loop":
                yield from self._run_loop(number, state)
            case "parallel":
                yield from self._run_parallel(number, state)
            case "wait":
                late = dict(state)
                self._set_step(late, node, sources.make_step("completed", type_of({"timed_out": True})))
                yield "timeout", frozenset(), late
                yield self._complete(node, state, "next")
            case "end":
                self._set_step(state, node, sources.make_step("completed", NULL))
                yield from _end(node, state)
            case _:
                yield self._complete(node, state, "next")

    def _infer_error(self, node: Node) -> Type:
        return sources.infer_error(self.infer_output(node))

    def _may_fail(self, number: int) -> bool:
        return "error" in self.regions.graph.successors[number] and self.nodes[number].on_error in (None, "", "fail")

    def _complete(
        self, node: Node, state: dict[str, Type], port: str, output: Type | None = None, exits: Exits = frozenset()
    ) -> Outcome:
        """Return the outcome of a node that has ended well, or whose failure its policy has handled."""
        if not self._is_read(node):
            return port, exits, state
        found = self.infer_output(node) if output is None else output
        policy = node.on_error
        if policy is None and node.type in FAILING and port == "next":
            policy = self.read_default_policy(node)
        plain, found = found, sources.allow_failure(found, policy, lambda value: self.infer(value, state))
        step = sources.make_step("completed", found)
        if policy not in (None, "", "fail"):
            error = self._infer_error(node)
            step = make_object({**step.fields, "status": type_of("completed"), "error": join(NULL, error)})
            step = join(step, sources.make_step("skipped", found, error)) if policy in ("skip", "pause") else step
        self._set_step(state, node, step)
        for name in node.outputs:
            if name in self.tracked:
                state[name] = self._read_output(plain, policy, name, state)
        return port, exits, state

    def _is_read(self, node: Node) -> bool:
        """Return whether anything reads what a node returns."""
        return f"steps.{node.id}" in self.tracked or not self.tracked.isdisjoint(node.outputs)

    def read_default_policy(self, node: Node) -> Any:
        """Return `settings.on_error`, which applies to no node with an `error` edge."""
        has_edge = "error" in self.regions.graph.successors[self.regions.graph.index[node.id]]
        return None if has_edge else self.definition.settings.on_error

    def _read_output(self, output: Type, policy: Any, name: str, state: State) -> Type:
        """Return the type of a variable that `outputs` names; a node that was skipped sets none."""
        value = sources.read_variable(output, name)
        if policy == "skip":
            return join(state.get(name, MISSING), value)
        if policy == "pause":
            return join(state.get(name, MISSING), ANY)
        if isinstance(policy, Mapping) and "fallback" in policy:
            return join(value, sources.read_variable(self.infer(policy["fallback"], state), name))
        return value

    def _set_step(self, state: dict[str, Type], node: Node, step: Type) -> None:
        if f"steps.{node.id}" in self.tracked:
            state[f"steps.{node.id}"] = step

    def _narrow_case(self, node: Node, port: str, state: State) -> State:
        cases = node.config.get("cases")
        case = cases.get(port) if isinstance(cases, dict) else None
        if isinstance(case, Mapping) and port != "default":
            return narrow(case, state, holds=True)
        return state

    def _set_variables(self, node: Node, state: dict[str, Type]) -> Outcome:
        known, config = self._is_read(node), node.config
        values = {key: self.infer(value, state) for key, value in config.items() if known or key in self.tracked}
        if self.sets_anything and any(map(is_template, config)):
            for name in self._list_settable():
                state[name] = join(state.get(name, MISSING), ANY)
        for name, value in values.items():
            if name in self.tracked:
                state[name] = value
        named = {name: value for name, value in values.items() if known and not is_template(name)}
        return self._complete(node, state, "next", make_object(named, closed=len(named) == len(config)))

    def _run_loop(self, number: int, state: dict[str, Type]) -> Iterable[Outcome]:
        node = self.nodes[number]
        item = node.item_variable or "item"
        names = [name for name in (item, f"{item}_index") if name in self.tracked]
        hidden = {name: state.get(name, MISSING) for name in names}
        owned = self.list_owned_steps(number)
        continues = continues_after_failure(node)
        if continues:  # an iteration sees what failed ones have set before they failed
            state = dict(state)
            self._blur(number, state)
        ends, after = self._walk_passes(number, node, state, dict.fromkeys(names), owned)
        if continues or not has_items(node):
            unused = dict(state)
            sources.forget(unused, owned)
            ends.add(frozenset())
            after = unused if after is None else dict(join_states([after, unused]))
        if after is None:
            return
        after.update(hidden)
        fields = dict(self.infer_output(node).fields)
        if node.config.get("collect") is not None:
            fields["items"] = make_list(self._infer_collected(number, node))
        if continues:
            self._blur(number, after)
            ends |= self._list_partial_ends(number)
        for exits in close_over_unions(ends):
            yield self._complete(node, dict(after), "next", make_object(fields), exits)

    def _list_partial_ends(self, number: int) -> set[Exits]:
        """Return what iterations that fail may have reached: any of the nodes outside."""
        return {frozenset((target,)) for region in self.regions.inside.get(number, ()) for target in region.exits}

    def _infer_collected(self, number: int, node: Node) -> Type:
        state = self.seen_after_body.get(number)
        found = ANY if state is None else self.infer(node.config["collect"], state)
        return add_kinds(found, "null") if continues_after_failure(node) else found

    def _walk_passes(
        self, number: int, node: Node, state: State, names: dict[str, None], owned: list[str]
    ) -> tuple[set[Exits], dict[str, Type] | None]:
        """Walk the body until nothing changes; return what its paths have reached, and the state after a pass."""
        item = node.item_variable or "item"
        types = {item: sources.infer_item(node, self.infer(node.collection, state)), f"{item}_index": NUMBER}
        current: State = {**state, **{name: types[name] for name in names}, **dict.fromkeys(owned, MISSING)}
        concurrent = node.config.get("max_concurrency") not in (None, "", 0, 1)
        for _ in range(MAX_ROUNDS):
            start = dict(current)
            if node.config.get("while"):
                self._see(self.seen_before_pass, number, current)
                start = dict(narrow(node.config["while"], current, holds=True))
            ends: dict[Exits, dict[str, Type]] = {}
            for region in self.regions.inside.get(number, ()):
                ends = self._walk_region(region, start)
            if not ends:
                return set(), None
            after = dict(join_states(list(ends.values())))
            self._see(self.seen_after_body, number, after)
            following = {**after, **{name: types[name] for name in names}}
            self._see(self.seen_before_pass, number, following)  # `while` sees what the iteration before has done
            following |= dict.fromkeys(owned, MISSING)
            joined = join_states([current, following])
            if concurrent or joined == current:
                return set(ends), after
            current = joined
        raise TooComplex

    def _run_parallel(self, number: int, state: dict[str, Type]) -> Iterable[Outcome]:
        node = self.nodes[number]
        branches = self.regions.inside.get(number, [])
        ends = [self._walk_region(region, dict(state)) for region in branches]
        may_lose = node.config.get("join") not in (None, "", "all") or node.config.get("on_branch_error") == "ignore"
        states = [dict(join_states(list(each.values()))) if each else None for each in ends]
        if any(each is None for each in states) and not may_lose:
            return
        after = dict(state)
        for region, merged in zip(branches, states, strict=True):
            for name in self._list_set_in(region):
                if merged is not None and name in merged:
                    before = state.get(name, MISSING)
                    after[name] = merge_branch(before, after.get(name, MISSING), merged[name], may_lose=may_lose)
        if may_lose and node.config.get("on_branch_error") != "ignore":
            self._settle_losers(state, after, [each for each in states if each is not None])
        reached: list[set[Exits]] = [set(each) | ({frozenset()} if may_lose or not each else set()) for each in ends]
        for exits in combine_exits(reached):
            yield self._complete(node, dict(after), "next", None, exits)

    def _settle_losers(self, state: State, after: dict[str, Type], ends: list[dict[str, Type]]) -> None:
        """One branch has won: what all of them set is set."""
        for name, known in after.items():
            if known.may_be_absent and ends and not any(each.get(name, MISSING).may_be_absent for each in ends):
                after[name] = drop_kinds(known, "missing")

    def list_owned_steps(self, number: int) -> list[str]:
        """Return the steps of the nodes inside a loop or a parallel."""
        return [
            name
            for region in self.regions.inside.get(number, ())
            for name in self._list_set_in(region)
            if name.startswith("steps.")
        ]

    def _list_set_in(self, region: Region) -> list[str]:
        """Return the tracked names that the nodes of a region, and of those inside it, may set."""
        known = self._set_inside.get(id(region))
        if known is None:
            names: dict[str, None] = {}
            for member in iterate_members(self.regions, region):
                node = self.nodes[member]
                names |= dict.fromkeys((f"steps.{node.id}", *list_variables_set(node)))
                if node.type == "set" and any(map(is_template, node.config)):
                    names |= dict.fromkeys(self._list_settable())
            known = self._set_inside[id(region)] = [name for name in names if name in self.tracked]
        return known

    def _list_settable(self) -> list[str]:
        """Return the tracked names that a computed name may set."""
        return [name for name in self.tracked if name != "trigger" and not name.startswith("steps.")]

    def _blur(self, number: int, state: dict[str, Type]) -> None:
        """Forget what the nodes inside a loop may have set before they failed."""
        if self.nodes[number].type == "loop":
            for region in self.regions.inside.get(number, ()):
                for name in self._list_set_in(region):
                    state[name] = join(state.get(name, MISSING), ANY)


def _end(node: Node, state: dict[str, Type]) -> Iterable[Outcome]:
    """Yield how an `end` ends its path or its scope; nothing where it fails."""
    outcome = node.config.get("outcome")
    if outcome == "failed":
        return
    closes = bool(outcome) or node.config.get("output") is not None
    yield None if closes else "", frozenset(), state
