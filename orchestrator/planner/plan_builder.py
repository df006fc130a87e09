"""Build the frozen tree of scopes that the interpreter runs from the graph and its regions."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.model.approval_forms import build_answer_schema
from orchestrator.model.definition import Definition, Node
from orchestrator.model.plan import (
    ANY_EVENT,
    BATCH_ITERATIONS,
    Action,
    ActionCall,
    AnyNode,
    Approval,
    Branch,
    Call,
    Case,
    Condition,
    Delay,
    End,
    Loop,
    OnError,
    Parallel,
    Pause,
    Reminder,
    RetryFrom,
    Scope,
    Set,
    Spread,
    Start,
    Switch,
    Wait,
)
from orchestrator.planner.action_calls import Actions
from orchestrator.planner.callee_keys import make_callee_key
from orchestrator.planner.policies import read_on_error, read_reminder_call
from orchestrator.planner.references import is_condition, is_template
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.report import Report
from orchestrator.planner.scoping import Names, iterate_members
from orchestrator.planner.spreading import list_paths, may_spread

INHERITS = ("action", "workflow", "loop", "parallel")
"""Types that can fail for reasons outside the graph: `settings.on_error` applies to them (docs/flow.md)."""


class ScopeBuilder:
    """Builds the scopes of one definition, and makes the checks that need a complete graph."""

    def __init__(
        self, definition: Definition, regions: Regions, names: Names, actions: Actions, report: Report
    ) -> None:
        self.definition = definition
        self.regions = regions
        self.names = names
        self.actions = actions
        self.report = report
        self.default_on_error = read_on_error(definition.settings.on_error, "/settings/on_error", report)
        self.callees: dict[str, tuple[str, ...]] = {}
        """Each called workflow, to all workflows that it calls in turn."""
        self._readers = self._find_step_readers()

    def build_scope(self, region: Region) -> Scope:
        """Build the scope of a region."""
        rank = {number: at for at, number in enumerate(region.ranked)}
        nodes = self.regions.graph.nodes
        return Scope(
            nodes=tuple(self._build_node(number, region, rank) for number in region.ranked),
            entries=tuple(rank[number] for number in region.entries if number in rank),
            exits=tuple(nodes[number].id for number in region.entries if number not in rank),
        )

    def _build_node(self, number: int, region: Region, rank: Mapping[int, int]) -> AnyNode:
        graph = self.regions.graph
        node = graph.nodes[number]
        ports: dict[str, tuple[int, ...]] = {}
        exits: dict[str, tuple[str, ...]] = {}
        for port, targets in graph.successors[number].items():
            if port == "body" or port.startswith("branch "):
                continue
            inner = tuple(rank[target] for target in targets if target in rank)
            outer = tuple(
                graph.nodes[target].id
                for target in targets
                if target not in rank and not self.regions.ends_path(number, target)
            )
            ports |= {port: inner} if inner else {}
            exits |= {port: outer} if outer else {}
        common = {
            "id": node.id,
            "name": "" if node.name == node.id else node.name,
            "ports": ports,
            "exits": exits,
            "when": node.when,
            "outputs": tuple(dict.fromkeys(node.outputs)),
            "error_port": "error" in graph.successors[number],
        }
        if node.type in ("loop", "parallel", "workflow"):
            common["limit_seconds"] = node.timeout_seconds
        common["on_error"] = self._resolve_on_error(number, node, error_port="error" in graph.successors[number])
        return self._build_by_type(number, node, common)

    def _build_by_type(self, number: int, node: Node, common: dict[str, Any]) -> AnyNode:
        config = node.config
        match node.type:
            case "action":
                return self._build_action(number, node, common)
            case "condition":
                return Condition(kind="condition", condition=node.condition, **common)
            case "switch":
                return Switch(kind="switch", value=config.get("value"), cases=_build_cases(config["cases"]), **common)
            case "loop":
                return self._build_loop(number, node, common)
            case "parallel":
                return self._build_parallel(number, node, common)
            case "delay":
                return _build_delay(node, common)
            case "wait":
                return self._build_wait(number, node, common)
            case "set":
                computed = any(is_template(key) for key in config)
                loop_variables = self.names.list_loop_variables(number) if computed else ()
                return Set(kind="set", values=config, loop_variables=tuple(loop_variables), **common)
            case "workflow":
                return Call(
                    kind="workflow",
                    workflow=make_callee_key(config, self.callees),
                    input=config.get("input"),
                    wait=config.get("wait", True),
                    compensate=self._complete_compensation(number, node),
                    **common,
                )
            case "end":
                return _build_end(config, common)
            case _:
                return Start(kind="trigger", **common)

    def _build_action(self, number: int, node: Node, common: dict[str, Any]) -> Action:
        pointer = self.regions.graph.pointers[number]
        call = self.actions.complete_call(node, pointer)
        return Action(
            kind="action",
            action=node.action,
            config=node.config,
            retry=call.retry,
            timeout_seconds=call.timeout_seconds,
            heartbeat_seconds=call.heartbeat_seconds,
            task_queue=node.task_queue or None,
            local=call.local,
            # An operator may take days, and a notification comes first: such a step is recorded by itself.
            fused=call.fused and not isinstance(common["on_error"], Pause),
            compensate=self._complete_compensation(number, node),
            result_schema=node.result_schema or None,
            **common,
        )

    def _complete_compensation(self, number: int, node: Node) -> ActionCall | None:
        return self.actions.complete_side_call(node.compensate, f"{self.regions.graph.pointers[number]}/compensate")

    def _build_wait(self, number: int, node: Node, common: dict[str, Any]) -> Wait:
        config, approval = node.config, node.config.get("approval")
        return Wait(
            kind="wait",
            event=config.get("event") or node.id,
            key=None if config.get("key") in (None, "") else config["key"],
            timeout_seconds=config.get("timeout_seconds"),
            payload_schema=build_answer_schema(approval.get("form")) if approval else config.get("schema") or None,
            approval=self._build_approval(number, node, approval) if approval else None,
            **common,
        )

    def _build_approval(self, number: int, node: Node, approval: Mapping[str, Any]) -> Approval:
        pointer = f"{self.regions.graph.pointers[number]}/config/approval/reminder"
        call = self.actions.complete_side_call(read_reminder_call(node), pointer)
        given = approval.get("reminder") or {}
        reminder = call and Reminder(call=call, every_seconds=given["every_seconds"], at_most=given.get("at_most", 1))
        fields = tuple((approval.get("form") or {}).get("properties") or ())
        return Approval(title=approval["title"], assignees=approval["assignees"], fields=fields, reminder=reminder)

    def _build_loop(self, number: int, node: Node, common: dict[str, Any]) -> Loop:
        config = node.config
        has_max_failures = config.get("max_failures") not in (None, "")
        counted = node.collection if node.collection != [] or not config.get("while") else None
        return Loop(
            kind="loop",
            collection=counted,
            while_=config.get("while") or None,
            item=node.item_variable or "item",
            batch_size=config.get("batch_size") or None,
            max_concurrency=config.get("max_concurrency") or 1,
            break_when=config.get("break_when") or None,
            collect=config.get("collect"),
            has_collect="collect" in config,
            continue_on_error=config.get("on_item_error") == "continue" or has_max_failures,
            max_iterations=config.get("max_iterations") or None,
            interval_seconds=config.get("interval_seconds") or None,
            max_failures=config["max_failures"] if has_max_failures else None,
            spread=self._build_spread(number, node),
            body=self.build_scope(self.regions.inside[number][0]),
            **common,
        )

    def _build_spread(self, number: int, node: Node) -> Spread | None:
        nodes, name = self.regions.graph.nodes, node.item_variable or "item"
        own = list(iterate_members(self.regions, self.regions.inside[number][0]))
        if not may_spread(node, (nodes[each] for each in own)):
            return None
        collect = f"{self.regions.graph.pointers[number]}/config/collect"
        uses = [use for each in own for use in self.names.uses[each]]
        uses += [use for use in self.names.uses[number] if f"{use[0]}/".startswith(f"{collect}/")]
        return Spread(
            size=BATCH_ITERATIONS,
            paths=list_paths(uses, (name, f"{name}_index")),
            exports=self._find_exports({nodes[each].id: None for each in own}, own),
            waits=self._list_waits(own),
            workflows=self._list_called(own),
        )

    def _build_parallel(self, number: int, node: Node, common: dict[str, Any]) -> Parallel:
        config = node.config
        join = {"all": None, "any": 1, "": None}.get(config.get("join") or "", config.get("join"))
        inside = self.regions.inside.get(number, [])
        pointer = f"{self.regions.graph.pointers[number]}/config/join"
        if isinstance(join, int) and join > len(inside):
            count = "1 branch" if len(inside) == 1 else f"{len(inside)} branches"
            message = f"join waits for {join} branches, but the parallel has {count}"
            self.report.add_error("bad_join", pointer, message)
        branches = tuple(self._build_branch(region) for region in inside)
        # Children learn of each other's end by messages only: of two whose events arrive in the same moment, both would
        # continue. In one workflow the first one cancels the other before it starts another node.
        is_race_of_events = join is not None and sum(1 for branch in branches if branch.waits) > 1
        return Parallel(
            kind="parallel",
            branches=branches,
            join=join,
            on_branch_error=config.get("on_branch_error") or "fail_fast",
            max_concurrency=config.get("max_concurrency") or None,
            inline=config.get("mode") == "inline" or is_race_of_events,
            **common,
        )

    def _build_branch(self, region: Region) -> Branch:
        own = list(iterate_members(self.regions, region))
        nodes = self.regions.graph.nodes
        uses = [name for number in own for _, name in self.names.uses[number]]
        ids = {nodes[number].id: None for number in own}
        steps = [str(name.path[0]) if name.path else "*" for name in uses if name.root == "steps"]
        return Branch(
            scope=self.build_scope(region),
            reads=_sort_names(name.root for name in uses if name.root not in ("steps", "secrets", "workflow", "run")),
            steps=("*",) if "*" in steps else _sort_names(steps),
            exports=self._find_exports(ids, [] if self._repeats_in_iteration(region) else own),
            waits=self._list_waits(own),
            workflows=self._list_called(own),
        )

    def _list_waits(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the events that nodes wait for."""
        nodes = [self.regions.graph.nodes[number] for number in numbers]
        return _sort_names(name for node in nodes if node.type == "wait" for name in _name_events(node))

    def _list_called(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the keys of the workflows that nodes call, also indirectly."""
        nodes = [self.regions.graph.nodes[number] for number in numbers]
        called = [make_callee_key(node.config, self.callees) for node in nodes if node.type == "workflow"]
        return _sort_names(other for name in called for other in (name, *self.callees.get(name, ())))

    def _find_step_readers(self) -> dict[str, set[int]]:
        """Return the nodes that read each step, by step; the key `*` has those that read all steps."""
        readers: dict[str, set[int]] = {}
        for number, uses in enumerate(self.names.uses):
            for _, name in uses:
                if name.root == "steps":
                    readers.setdefault(str(name.path[0]) if name.path else "*", set()).add(number)
        return readers

    def _repeats_in_iteration(self, branch: Region) -> bool:
        """Return whether a cycle leads back to a branch, which then reads what it did in the pass before, too."""
        return branch.parent is not None and self.names.precedence.repeats_in_iteration(branch.parent)

    def _find_exports(self, ids: Mapping[str, None], own: list[int]) -> tuple[str, ...]:
        """Return the steps, of these, that nodes other than its own read."""
        inside = set(own)
        if self._readers.get("*", set()) - inside:
            return ("*",)
        return tuple(name for name in ids if self._readers.get(name, set()) - inside)

    def _resolve_on_error(self, number: int, node: Node, *, error_port: bool) -> OnError | None:
        pointer = f"{self.regions.graph.pointers[number]}/on_error"
        policy = read_on_error(node.on_error, pointer, self.report)
        if node.on_error is None and node.type in INHERITS and not error_port:
            policy = self.default_on_error
            if isinstance(policy, RetryFrom) and self._explain_bad_target(number, policy.node) is not None:
                return None
            return policy
        if isinstance(policy, RetryFrom):
            reason = self._explain_bad_target(number, policy.node)
            if reason is not None:
                known = self.regions.graph.index
                hint = None if policy.node in known else self.report.suggest(policy.node, known)
                self.report.add_error("bad_checkpoint", f"{pointer}/retry_from", reason, hint)
        if (
            policy is not None
            and "next" not in self.regions.graph.successors[number]
            and node.type in ("condition", "switch")
        ):
            message = f"a {node.type} cannot continue after an error: it has no port `next`"
            self.report.add_warning("on_error_without_next", pointer, message)
        return policy

    def _explain_bad_target(self, number: int, target_id: str) -> str | None:
        """Return why a run cannot return to a node from here, or None if it can."""
        regions = self.regions
        target = regions.graph.index.get(target_id)
        if target is None:
            return f"there is no node {target_id!r:.60}"
        for region in regions.iterate_enclosing(number):
            if regions.innermost[target] is region:
                return (
                    None
                    if self.names.precedence.may_precede(target, number) or target == number
                    else NOT_BEFORE.format(target_id)
                )
            owner = None if region.owner is None else regions.graph.nodes[region.owner]
            if owner is not None and (owner.type == "parallel" or owner.config.get("max_concurrency", 1) != 1):
                return f"a run cannot return to {target_id!r} from here: it is outside a concurrent loop or branch"
        return f"a run cannot return to {target_id!r} from here: it is inside another loop or branch"


NOT_BEFORE = "a run cannot return to {!r}: it does not run before this node"


def _name_events(node: Node) -> list[str]:
    event = node.config.get("event") or node.id
    return [ANY_EVENT if is_template(name) else name for name in (event if isinstance(event, list) else [event])]


def _sort_names(names: Any) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _build_cases(cases: Mapping[str, Any]) -> tuple[Case, ...]:
    return tuple(
        Case(port=str(name), condition=case) if is_condition(case) else Case(port=str(name), value=case)
        for name, case in cases.items()
    )


def _build_delay(node: Node, common: dict[str, Any]) -> Delay:
    expression = node.config.get("cron")
    if expression:
        return Delay(kind="delay", cron=expression, timezone=node.config.get("timezone") or "UTC", **common)
    if node.delay_until:
        return Delay(kind="delay", until=node.delay_until, **common)
    return Delay(kind="delay", seconds=node.delay_seconds, **common)


def _build_end(config: Mapping[str, Any], common: dict[str, Any]) -> End:
    has_output = config.get("output") not in (None, "")
    return End(
        kind="end",
        closes=has_output or bool(config.get("outcome")),
        has_output=has_output,
        output=config.get("output") if has_output else None,
        outcome=config.get("outcome") or "completed",
        message=config.get("message"),
        **common,
    )
