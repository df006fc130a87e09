"""Walk a plan as one flow of a run does, and add up what each node writes. One `FlowWalk` is one execution of a flow.

The walk takes the nodes of a scope in the order of their ranks. Two things depend on what came before: a segment takes
fused actions until something else comes, and a wait that is shown is taken back when work begins.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import assert_never

from orchestrator.forecast import costs
from orchestrator.forecast.ledger import Part, Tally
from orchestrator.forecast.passes import Spreader, find_iterations, find_seconds, find_times, is_fused, measure
from orchestrator.forecast.report import ChildKind
from orchestrator.forecast.sizes import ITEM_BYTES, Sizes
from orchestrator.language.costs import NODE
from orchestrator.model.plan import (
    Action,
    AnyNode,
    Call,
    Condition,
    Delay,
    End,
    Loop,
    Parallel,
    Plan,
    Scope,
    Set,
    Start,
    Switch,
    Wait,
)
from orchestrator.temporal.segments.segment_run import MAX_BYTES as SEGMENT_BYTES
from orchestrator.temporal.segments.segment_run import MAX_STEPS as SEGMENT_STEPS
from orchestrator.temporal.workflow.effects import MAX_COST, MAX_LOCAL_ACTIONS
from orchestrator.temporal.workflow.shown_waits import LONG_SECONDS, MAX_CHANGES, SHORT_SECONDS

CONTEXT_BYTES = 190
"""What an action is sent beside its parameters: ids and its idempotency key."""


class FlowWalk:
    """One execution of a flow."""

    def __init__(self, plan: Plan, path: str, sizes: Sizes, spreader: Spreader, depth: int = 0) -> None:
        self.plan = plan
        self.path = path
        """Empty for the run; that of a node for its branches, batches and called workflows."""
        self.sizes = sizes
        self.spreader = spreader
        self.depth = depth
        self.parts = [Part()]
        self.per_item: dict[str, tuple[int, Part]] = {}
        """Of each loop, by node id: its iterations, and what the last one has cost."""
        self.children: dict[str, ChildKind] = {}
        """What runs as a child workflow, by path."""
        self.continues_in: dict[str, list[str]] = {}
        """By path of a flow: ids of its nodes in which it continues as new."""
        self._top_level = {node.id for node in plan.scope.nodes}
        self._executions = 1
        self._averages: dict[int, Mapping[str, float]] = {}
        """How many times each node runs in a pass, by the identity of its scope."""
        self._shown = ""
        self._changes = 0
        self._segment: tuple[str, str] | None = None
        self._segment_steps = 0.0
        self._segment_bytes = 0.0

    @property
    def part(self) -> Part:
        """What is added to now."""
        return self.parts[-1]

    def walk(self, start_bytes: float, end_bytes: float) -> Part:
        """Walk the whole flow; return what it costs."""
        self.part.charge((self.path, ""), costs.FLOW, start_bytes + end_bytes)
        if self.plan.keys:
            self.part.charge((self.path, ""), costs.SHOWN)
        tasks = self.part.own.tasks
        self.walk_scope(self.plan.scope)
        if self.plan.timeout_seconds is not None and self.part.own.tasks > tasks:
            self.part.charge((self.path, ""), costs.LIMIT)
        self._end_segment()
        self._charge_yields()
        self._charge_continuations(start_bytes)
        return self.part

    def walk_scope(self, scope: Scope) -> None:
        """Walk one pass of a scope: round by round where it has cycles."""
        averages = self._averages.get(id(scope))
        if averages is None:
            averages = self._averages[id(scope)] = find_times(scope, self.sizes)
        times = {name: self.spreader.take(f"{self.path}/{name}", each) for name, each in averages.items()}
        walked = 0
        for rounds in sorted({each for each in times.values() if each}):
            nodes = [node for node in scope.nodes if times[node.id] >= rounds]
            self.spreader.walked += len(scope.nodes)
            if self.spreader.is_spent:  # node by node instead of round by round
                for node in nodes:
                    self.repeat(times[node.id] - walked, partial(self._walk_node, node))
                break
            self.repeat(rounds - walked, partial(self._walk_nodes, nodes))
            walked = rounds

    def _walk_nodes(self, nodes: Sequence[AnyNode]) -> None:
        for node in nodes:
            self._walk_node(node)

    def repeat(self, count: int, run: Callable[[], None]) -> Part:
        """Walk something several times: some of them one by one, the rest as those on average. Return the last one."""
        outer = self.spreader.passes
        count = self.spreader.begin_passes(count)
        walked = min(count, self.spreader.count_explicit(self.depth))
        last = Part()
        self.depth += count > 1
        steps, size = self._segment_steps, self._segment_bytes
        for index in range(walked):
            self.parts.append(Part())
            steps, size = self._segment_steps, self._segment_bytes
            run()
            last = self.parts.pop()
            is_later = index >= walked // 2
            self.spreader.count_sums(last)
            self.part.merge(last, 1 + is_later * (count - walked) / (walked - walked // 2))
        if walked < count and self._segment is not None and self._segment_steps > steps:
            self._segment_steps += (self._segment_steps - steps) * (count - walked)
            self._segment_bytes += (self._segment_bytes - size) * (count - walked)
        self.depth -= count > 1
        self.spreader.passes = outer
        return last

    def _walk_node(self, node: AnyNode) -> None:
        self.part.by_key[self.path, node.id].steps += 1
        self.part.own.steps += 1
        tasks = self.part.own.tasks
        self._walk_content(node)
        if node.limit_seconds is not None and self.part.own.tasks > tasks:
            self._charge(node, costs.LIMIT, len(node.title))
        if node.id in self._top_level:
            self._note_continuation(node.id)

    def _walk_content(self, node: AnyNode) -> None:
        match node:
            case Action():
                self._walk_action(node)
            case Loop():
                self._walk_loop(node)
            case Parallel():
                self._walk_parallel(node)
            case Delay():
                self._walk_delay(node)
            case Wait():
                self._walk_wait(node)
            case Call():
                self._walk_call(node)
            case Start() | Condition() | Switch() | Set() | End():
                pass
            case _:
                assert_never(node)

    def _walk_action(self, node: Action) -> None:
        self._hide(node.id)
        carried = self._find_result(node.id) + len(node.id) + len(node.title)
        if is_fused(node):
            self._walk_fused(node)
        elif node.local:
            self._end_segment()
            self._charge(node, costs.LOCAL_ACTIVITY, carried, markers=1)
        else:
            self._end_segment()
            parameters = measure(node.config) + len(self.plan.id) + len(node.id) + len(self.plan.customer_id)
            self._charge(node, costs.ACTIVITY, carried + parameters + CONTEXT_BYTES + len(node.action))

    def _walk_fused(self, node: Action) -> None:
        if self._segment is None:
            self._segment = (self.path, node.id)
            self._charge(node, costs.SEGMENT, markers=1)
        size = self._find_result(node.id) + len(node.id) + costs.SEGMENT_STEP_BYTES
        self.part.by_key[self.path, node.id].payloads += size
        self.part.by_key[self.path, node.id].fused += 1
        self.part.own.payloads += size
        self._segment_steps += 1
        self._segment_bytes += size

    def _end_segment(self) -> None:
        """End a segment: a long one is cut into several."""
        if self._segment is None:
            return
        more = ceil(max(self._segment_steps / SEGMENT_STEPS, self._segment_bytes / SEGMENT_BYTES)) - 1
        for_more = Part()
        if more > 0:
            for_more.charge(self._segment, costs.SEGMENT, markers=1)
            self.part.merge(for_more, more)
        self._segment, self._segment_steps, self._segment_bytes = None, 0.0, 0.0

    def _walk_delay(self, node: Delay) -> None:
        seconds = self.sizes.seconds.get(node.id, find_seconds(node.seconds))
        if seconds is not None and seconds <= 0:
            return
        self._wait_for_timer(node, seconds)

    def _wait_for_timer(self, node: AnyNode, seconds: float | None) -> None:
        self._end_segment()
        shortest = LONG_SECONDS if self._changes >= MAX_CHANGES else SHORT_SECONDS
        if seconds is None or seconds > shortest:
            self._show(node.id)
        else:
            self._hide(node.id)
        self._charge(node, costs.TIMER, len(node.title))

    def _walk_wait(self, node: Wait) -> None:
        self._end_segment()
        self._show(node.id)
        is_reminded = node.approval is not None and node.approval.reminder is not None
        if node.timeout_seconds is not None or is_reminded:
            self._charge(node, costs.LIMIT, len(node.title))
        self._charge(node, costs.SIGNAL, self._find_result(node.id))

    def _walk_call(self, node: Call) -> None:
        self._end_segment()
        self._hide(node.id)
        callee = self.plan.workflows[node.workflow]
        inner = callee.model_copy(update={"workflows": self.plan.workflows})
        sizes = self.spreader.plan_bytes
        if node.workflow not in sizes:
            sizes[node.workflow] = measure(inner.to_json() if callee.workflows else callee.to_json())
        start = sizes[node.workflow] + measure(node.input)
        if not node.wait:
            self._charge(node, costs.DETACHED_CHILD, start)
            return
        self._charge(node, costs.CHILDREN_STARTED)
        self._walk_child(node, "workflow", inner, start)
        self.part.fewest_tasks -= 1  # of a short one, one workflow task takes the start and the end

    def _walk_child(self, node: AnyNode, kind: ChildKind, plan: Plan, start: float, suffix: str = "") -> None:
        """Add a child workflow, and what it costs the flow that runs it."""
        own = f"{self.path}/{node.id}{suffix}".removeprefix("/")
        end = self._find_result(node.id)
        child = FlowWalk(plan, own, self.sizes, self.spreader, self.depth)
        known = self.spreader.recall(node) if isinstance(node, Call) else None
        cost = child.walk(start, end) if known is None else known.flatten(own)
        self.spreader.count_child(start, cost)
        if isinstance(node, Call):
            self.spreader.calls[node.workflow] = cost
        self.children |= {own: kind, **child.children}
        self.per_item |= child.per_item
        self.continues_in |= child.continues_in
        for key, tally in cost.by_key.items():
            self.part.by_key[key].add(tally)
        for path, counts in cost.flows.items():
            self.part.record_flows(path, *counts)
        self.part.record_flows(own, 1, cost.fewest_tasks, cost.most_tasks, cost.continued)
        self._charge(node, costs.CHILD, start + end + len(own))

    def _walk_parallel(self, node: Parallel) -> None:
        if node.inline:
            self._walk_together([branch.scope for branch in node.branches])
            return
        self._begin_children(node)
        for index, branch in enumerate(node.branches):
            plan = self.plan.model_copy(update={"scope": branch.scope, "timeout_seconds": None, "keys": {}})
            workflows = {name: self.plan.workflows[name] for name in branch.workflows}
            recorded = plan.model_copy(update={"variables": {}, "workflows": workflows})
            self._walk_child(node, "branch", plan, measure(recorded.to_json()), f"[{index}]")
        self._join_children(len(node.branches))

    def _begin_children(self, node: AnyNode) -> None:
        """Begin several child workflows, whose workflow tasks in this flow may fall together."""
        self._end_segment()
        self._show(f"{node.id}[]")
        self.parts.append(Part())
        self._charge(node, costs.CHILDREN_STARTED)

    def _join_children(self, number: int) -> None:
        children = self.parts.pop()
        children.combine_tasks(self.path, 1, 1 + number)  # of short ones, one may take all starts and ends
        children.most_tasks = 2 * number
        self.part.merge(children)

    def _walk_together(self, scopes: Sequence[Scope]) -> None:
        """Walk inline branches, whose workflow tasks may fall together."""
        self.parts.append(Part())
        longest = 0.0
        for scope in scopes:
            self.parts.append(Part())
            self.walk_scope(scope)
            branch = self.parts.pop()
            longest = max(longest, branch.fewest_tasks)
            self.part.merge(branch)
        together = self.parts.pop()
        together.combine_tasks(self.path, longest, (longest + together.own.tasks) / 2)
        self.part.merge(together)

    def _walk_loop(self, node: Loop) -> None:
        count = self.spreader.take(f"{self.path}/{node.id}[]", find_iterations(node, self.sizes))
        if node.max_concurrency == 1:
            self._walk_in_sequence(node, count)
        elif node.spread is not None and count > node.spread.size:
            self._walk_batches(node, count, node.spread.size)
        else:
            self._walk_concurrently(node, count)

    def _walk_in_sequence(self, node: Loop, count: int) -> None:
        seconds = self.sizes.seconds.get(node.id, find_seconds(node.interval_seconds))
        first = True

        def walk_iteration() -> None:
            nonlocal first
            if node.interval_seconds is not None and not first:
                self._wait_for_timer(node, seconds)
            first = False
            self.walk_scope(node.body)

        self.per_item[node.id] = (count, self.repeat(count, walk_iteration))

    def _walk_concurrently(self, node: Loop, count: int) -> None:
        self.parts.append(Part())
        self.per_item[node.id] = (count, self.repeat(count, lambda: self.walk_scope(node.body)))
        together = self.parts.pop()
        fewest = together.fewest_tasks / max(min(count, node.max_concurrency), 1)
        together.combine_tasks(self.path, fewest, (fewest + together.own.tasks) / 2)
        self.part.merge(together)

    def _walk_batches(self, node: Loop, count: int, size: int) -> None:
        alone = node.model_copy(update={"spread": None, "limit_seconds": None, "ports": {}, "exits": {}})
        plan = self.plan.model_copy(
            update={"scope": Scope(nodes=(alone,), entries=(0,)), "timeout_seconds": None, "keys": {}}
        )
        start = measure(plan.model_copy(update={"workflows": {}, "variables": {}}).to_json())
        self._begin_children(node)
        full, rest = divmod(count, size)

        def walk_batch(length: int) -> None:
            items = {**self.sizes.items, node.id: length * (node.batch_size or 1)}
            kept, self.sizes = self.sizes, self.sizes.model_copy(update={"items": items})
            self._walk_child(node, "batch", plan, start + length * ITEM_BYTES)
            self.sizes = kept

        self.repeat(full, lambda: walk_batch(size))
        if rest:
            walk_batch(rest)
        self._join_children(full + bool(rest))

    def _show(self, what: str) -> None:
        """Show a wait: with the time since when, which another wait of the node changes as well."""
        if self._changes >= MAX_CHANGES and self._shown == what:
            return
        self._shown = what
        self._changes += 1
        self.part.charge((self.path, what.removesuffix("[]")), costs.SHOWN)

    def _hide(self, node_id: str) -> None:
        """Take back what is shown, as a node works."""
        if self._shown:
            self._shown = ""
            self._changes += 1
            self.part.charge((self.path, node_id), costs.SHOWN)

    def _note_continuation(self, node_id: str) -> None:
        """Note a node of the top level in which the flow reaches a limit of its history."""
        executions = self._count_executions()
        if executions > self._executions:
            self._executions = executions
            names = self.continues_in.setdefault(self.path, [])
            if node_id not in names:
                names.append(node_id)

    def _count_executions(self) -> int:
        own = Tally()
        for part in self.parts:
            own.add(part.own)
        shares = (
            own.events / costs.SUGGESTED_EVENTS,
            own.bytes / costs.SUGGESTED_BYTES,
            own.markers / MAX_LOCAL_ACTIONS,
            own.steps * NODE / MAX_COST,
        )
        return 1 + int(max(shares))

    def _charge_continuations(self, start_bytes: float) -> None:
        continuation = Part()
        continuation.charge((self.path, ""), costs.CONTINUATION, start_bytes)
        continued = self._count_executions() - 1
        self.part.merge(continuation, continued)
        self.part.continued = continued

    def _charge_yields(self) -> None:
        yields = Part()
        yields.charge((self.path, ""), costs.YIELD)
        self.part.merge(yields, int(self.part.own.steps * NODE // self.plan.yield_cost))

    def _charge(self, node: AnyNode, cost: costs.Cost, carried: float = 0.0, *, markers: int = 0) -> None:
        self.part.charge((self.path, node.id), cost, carried, markers=markers)

    def _find_result(self, node_id: str) -> float:
        return self.sizes.results.get(node_id, self.sizes.default_result)
