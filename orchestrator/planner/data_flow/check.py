"""Check what a definition does with its data: certain mistakes are errors, possible ones warnings (SPEC §8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ProblemCode
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.nodes import Path
from orchestrator.language.values import read_number
from orchestrator.model.definition import Definition, Node
from orchestrator.planner.callee_keys import make_callee_key
from orchestrator.planner.data_flow import sources
from orchestrator.planner.data_flow.conditions import check_condition
from orchestrator.planner.data_flow.expressions import Inference, locate_text
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.outside import check_outside
from orchestrator.planner.data_flow.parameters import check_called_input, check_parameters
from orchestrator.planner.data_flow.places import find_state
from orchestrator.planner.data_flow.types import MISSING, Kind, State, Type, drop_kinds, read_value
from orchestrator.planner.data_flow.values import infer_json
from orchestrator.planner.data_flow.walk import TooComplex
from orchestrator.planner.data_flow.witness import Witness
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.references import Site, Use, find_sites, is_condition, list_reads
from orchestrator.planner.regions import Regions
from orchestrator.planner.report import Report
from orchestrator.planner.verdict import Verdict

WANTED: dict[str, tuple[frozenset[Kind], ProblemCode, str]] = {
    "/collection": (frozenset(("list", "number")), "bad_collection", "the collection must be a list or a whole number"),
    "/delay_seconds": (frozenset(("number", "text")), "bad_seconds", "delay_seconds must be a number"),
    "/delay_until": (frozenset(("text",)), "bad_time", "delay_until must be an ISO 8601 time"),
    "/config/join": (frozenset(("number", "text")), "bad_join", "join must be `all`, `any` or a number of branches"),
    "/config/interval_seconds": (
        frozenset(("number", "text")),
        "bad_seconds",
        "interval_seconds must be a number",
    ),
    "/config/timeout_seconds": (frozenset(("number", "text")), "bad_seconds", "timeout_seconds must be a number"),
}
"""What the values at some places of a node must be, the code of the problem, and its message."""
HINTS: dict[tuple[str, Kind], str] = {
    ("/collection", "object"): "use `| values` for the values of an object",
    ("/collection", "text"): "use `| split(…)` for the parts of a text",
}


def check(
    definition: Definition,
    regions: Regions,
    uses: Sequence[Sequence[Use]],
    registry: Catalogue | None,
    calls: Mapping[str, Verdict],
    precedence: Precedence,
    report: Report,
) -> None:
    """Report what certainly or possibly goes wrong with the data of a definition."""
    called = {key: verdict.output for key, verdict in calls.items()}
    flow = Flow(definition, regions, registry, [list_reads(each) for each in uses], called)
    try:
        flow.walk()
    except (TooComplex, RecursionError):
        return
    checker = _Checker(flow, calls, Witness(regions, precedence), report)
    checker.check_filter()
    checker.check()


@dataclass
class _Checker:
    """Checks every value of every node that can run, each in what is known when it is computed."""

    flow: Flow
    calls: Mapping[str, Verdict]
    witness: Witness
    report: Report

    def check(self) -> None:
        for number, seen in self.flow.seen.items():
            node, pointer = self.flow.nodes[number], self.flow.regions.graph.pointers[number]
            for site in find_sites(node, pointer):
                if site[1] is not None:
                    self._check_site(number, node, site, find_state(self.flow, number, site[0].removeprefix(pointer)))
            if node.type == "switch":
                self._check_cases(node, pointer, seen)

    def check_filter(self) -> None:
        """Check the filter of a trigger, which reads what was received."""
        trigger = self.flow.definition.trigger
        names = sources.list_filter_names(trigger)

        def report_absent(at: str, text: str, path: Path, known: Type, asks: bool) -> None:
            where = locate_text(text, path.offset)
            hint = did_you_mean(path.root, names) or f"it reads {join_names(names)}"
            message = f"{where}the filter of a trigger of type {trigger.type} has no {path.root!r:.60}"
            self.report.add_error("unknown_field", at, message, hint)

        if trigger.type in ("event", "webhook") and trigger.config.get("filter"):
            inference = Inference({}, names, self._add_error, report_absent)
            check_condition(trigger.config["filter"], "/trigger/config/filter", inference)

    def _check_site(self, number: int, node: Node, site: Site, state: State) -> None:
        pointer, value, kind = site
        told: set[str] = set()

        def report_absent(at: str, text: str, path: Path, known: Type, asks: bool) -> None:
            name = f"steps.{path.parts[0]}" if path.root == "steps" else path.root
            if name not in told:
                told.add(name)
                self._report_absent(number, at, locate_text(text, path.offset), path, known, asks)

        inference = Inference(state, self.flow.fixed, self._add_error, report_absent, self._add_warning)
        if kind == "condition":
            check_condition(value, pointer, inference)
            return
        known = infer_json(value, pointer, inference)
        place = pointer.removeprefix(self.flow.regions.graph.pointers[number])
        if place in WANTED and isinstance(value, str) and "{{" in value:
            self._check_wanted(place, pointer, known)
        if place == "/config" and node.type == "action":
            self._check_call(node.action, value, pointer, state)
        elif place == "/compensate/config" and node.compensate is not None:
            self._check_call(node.compensate.get("action"), value, pointer, state)
        elif place == "/config/input" and node.type == "workflow":
            self._check_called_input(node, value, pointer, state)

    def _add_error(self, pointer: str, code: ProblemCode, message: str, hint: str | None) -> None:
        self.report.add_error(code, pointer, message, hint)

    def _add_warning(self, pointer: str, code: ProblemCode, message: str, hint: str | None) -> None:
        self.report.add_warning(code, pointer, message, hint)

    def _check_call(self, action: Any, config: Any, pointer: str, state: State) -> None:
        spec = self.flow.registry.get(action) if self.flow.registry is not None and isinstance(action, str) else None
        if spec is not None and isinstance(config, Mapping):
            inference = Inference(state, self.flow.fixed)
            check_parameters(spec, config, pointer, inference, self._add_error)
            check_outside(spec, config, pointer, self.flow, inference, self.report)

    def _check_called_input(self, node: Node, value: Any, pointer: str, state: State) -> None:
        verdict = self.calls.get(make_callee_key(node.config, self.calls)) if node.config.get("workflow_id") else None
        if verdict is not None and verdict.plan is not None and verdict.plan.input_schema is not None:
            inference = Inference(state, self.flow.fixed)
            name = str(node.config["workflow_id"])
            check_called_input(name, verdict.plan.input_schema, value, pointer, inference, self._add_error)

    def _check_wanted(self, place: str, pointer: str, known: Type) -> None:
        wanted, code, message = WANTED[place]
        present = drop_kinds(known, "null", "missing")
        if present.kinds and not present.kinds & wanted:
            hint = next((HINTS[place, kind] for kind in sorted(present.kinds) if (place, kind) in HINTS), None)
            self.report.add_error(code, pointer, f"{message}, not {present.describe()}", hint)

    def _check_cases(self, node: Node, pointer: str, seen: State) -> None:
        """Warn about cases that the value can never be equal to."""
        value = read_value(self.flow.infer(node.config.get("value"), seen))
        cases = node.config.get("cases")
        for name, case in cases.items() if isinstance(cases, dict) and not value.is_absent else ():
            known = self.flow.infer(case, seen)
            if is_condition(case) or known.is_absent or value.kinds & known.kinds - {"null"}:
                continue
            is_number = isinstance(case, str) and read_number(case) is not None and "number" in value.kinds
            shown = f"the text {case!r:.60}" if is_number else known.describe()
            message = f"the case is {shown}, the value is {drop_kinds(value, 'null').describe()}: they are never equal"
            at = f"{pointer}/config/cases/{escape(name)}"
            self.report.add_warning("never_holds", at, message, "write it without quotes" if is_number else None)

    def _report_absent(self, number: int, pointer: str, where: str, path: Path, known: Type, asks: bool) -> None:
        if path.root == "steps":
            self._report_step(number, pointer, where, str(path.parts[0]), known, asks)
        elif known != MISSING and not self.flow.sets_anything:  # what is never there is reported with the names
            setters = self.witness.list_setters(path.root)
            reason = self.witness.explain(setters, number, "sets it")
            hint = "use `| default(…)`, or set it on every path"
            self.report.add_warning(
                "maybe_missing", pointer, f"{where}{path.root!r:.60} may not be set: {reason}", hint
            )

    def _report_step(self, number: int, pointer: str, where: str, step: str, known: Type, asks: bool) -> None:
        setter = self.flow.regions.graph.index.get(step)
        if setter is None:
            return  # reported with the names
        if known == MISSING:
            hint = "read a step that runs before, or set a variable"
            message = f"{where}{step!r:.60} cannot have run before this: it is null"
            add = self.report.add_warning if asks else self.report.add_error
            add("step_not_run", pointer, message, hint)
        else:
            reason = self.witness.explain([setter], number, "")
            hint = "use `| default(…)`, or ask for its status"
            self.report.add_warning("maybe_missing", pointer, f"{where}{step!r:.60} may not have run: {reason}", hint)
