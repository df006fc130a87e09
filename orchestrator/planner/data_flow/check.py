"""Check what a definition does with its data: certain mistakes are errors, possible ones warnings (SPEC §8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BeforeValidator, PlainValidator, WrapValidator

from orchestrator.errors import ProblemCode
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.nodes import Path
from orchestrator.language.values import read_number
from orchestrator.model.definition import Definition, Node
from orchestrator.model.described_action import DescribedAction
from orchestrator.planner.data_flow import sources
from orchestrator.planner.data_flow.conditions import check_condition
from orchestrator.planner.data_flow.expressions import Inference, locate_text
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.places import find_state
from orchestrator.planner.data_flow.schema_types import read_schema
from orchestrator.planner.data_flow.types import MISSING, Kind, State, Type, drop_kinds
from orchestrator.planner.data_flow.values import check_parameters, infer_json
from orchestrator.planner.data_flow.walk import TooComplex
from orchestrator.planner.data_flow.witness import Witness
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.references import Site, Use, find_sites, list_reads
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
    checker = _Checker(flow, Witness(regions, precedence), report)
    checker.check_filter()
    checker.check()


@dataclass
class _Checker:
    """Checks every value of every node that can run, each in what is known when it is computed."""

    flow: Flow
    witness: Witness
    report: Report

    def check(self) -> None:
        for number, seen in self.flow.seen.items():
            node, pointer = self.flow.nodes[number], self.flow.regions.graph.pointers[number]
            for site in find_sites(node, pointer):
                self._check_site(number, node, site, find_state(self.flow, number, site[0].removeprefix(pointer)))
            if node.type == "switch":
                self._check_cases(node, pointer, seen)

    def check_filter(self) -> None:
        """Check the filter of a trigger, which reads what was received."""
        trigger = self.flow.definition.trigger
        names = sources.list_filter_names(trigger)

        def report_absent(at: str, text: str, path: Path, known: Type) -> None:
            where = locate_text(text, path.offset)
            hint = did_you_mean(path.root, names) or f"it reads {join_names(names)}"
            message = f"{where}the filter of a trigger of type {trigger.type} has no {path.root!r:.60}"
            self.report.add_error("unknown_field", at, message, hint)

        if trigger.type in ("event", "webhook") and trigger.config.get("filter"):
            inference = Inference({}, names, self._add_error, report_absent)
            check_condition(trigger.config["filter"], "/trigger/config/filter", inference)

    def _check_site(self, number: int, node: Node, site: Site, state: State) -> None:
        pointer, value, kind = site
        if value is None:
            return
        told: set[str] = set()

        def report_absent(at: str, text: str, path: Path, known: Type) -> None:
            name = f"steps.{path.parts[0]}" if path.root == "steps" else path.root
            if name not in told:
                told.add(name)
                self._report_absent(number, at, locate_text(text, path.offset), path, known)

        inference = Inference(state, self.flow.fixed, self._add_error, report_absent)
        if kind == "condition":
            check_condition(value, pointer, inference)
            return
        known = infer_json(value, pointer, inference)
        place = pointer.removeprefix(self.flow.regions.graph.pointers[number])
        if place in WANTED and isinstance(value, str) and "{{" in value:
            self._check_wanted(place, pointer, known)
        if place == "/config" and node.type == "action":
            self._check_parameters(node, pointer, known)

    def _add_error(self, pointer: str, code: ProblemCode, message: str, hint: str | None) -> None:
        self.report.add_error(code, pointer, message, hint)

    def _check_wanted(self, place: str, pointer: str, known: Type) -> None:
        wanted, code, message = WANTED[place]
        present = drop_kinds(known, "null", "missing")
        if present.kinds and not present.kinds & wanted:
            hint = next((HINTS[place, kind] for kind in sorted(present.kinds) if (place, kind) in HINTS), None)
            self.report.add_error(code, pointer, f"{message}, not {present.describe()}", hint)

    def _check_parameters(self, node: Node, pointer: str, known: Type) -> None:
        spec = self.flow.registry.get(node.action) if self.flow.registry is not None else None
        if spec is None:
            return
        schema = spec.parameter_schema if isinstance(spec, DescribedAction) else _read_model(spec.parameters)

        def read(part: Any) -> Type:
            return read_schema({"$defs": schema.get("$defs", {}), **part} if isinstance(part, dict) else part)

        converted = () if isinstance(spec, DescribedAction) else _list_converted(spec.parameters)
        check_parameters(spec.name, schema, known, read, pointer, node.config, self._add_error, converted)

    def _check_cases(self, node: Node, pointer: str, seen: State) -> None:
        """Warn about a number that is compared with the same number as text."""
        value = self.flow.infer(node.config.get("value"), seen)
        cases = node.config.get("cases")
        if not isinstance(cases, dict) or value.is_absent or not value.kinds <= {"number", "null", "missing"}:
            return
        for name, case in cases.items():
            if isinstance(case, str) and read_number(case) is not None:
                message = f"the case is the text {case!r:.60}, the value is a number: they are never equal"
                at = f"{pointer}/config/cases/{escape(name)}"
                self.report.add_warning("never_holds", at, message, "write it without quotes")

    def _report_absent(self, number: int, pointer: str, where: str, path: Path, known: Type) -> None:
        if path.root == "steps":
            self._report_step(number, pointer, where, str(path.parts[0]), known)
        elif known != MISSING and not self.flow.sets_anything:  # what is never there is reported with the names
            setters = self.witness.list_setters(path.root)
            reason = self.witness.explain(setters, number, "sets it")
            hint = "use `| default(…)`, or set it on every path"
            self.report.add_warning(
                "maybe_missing", pointer, f"{where}{path.root!r:.60} may not be set: {reason}", hint
            )

    def _report_step(self, number: int, pointer: str, where: str, step: str, known: Type) -> None:
        setter = self.flow.regions.graph.index.get(step)
        if setter is None:
            return  # reported with the names
        if known == MISSING:
            hint = "read a step that runs before, or set a variable"
            message = f"{where}{step!r:.60} cannot have run before this: it is null"
            self.report.add_error("step_not_run", pointer, message, hint)
        else:
            reason = self.witness.explain([setter], number, "")
            hint = "use `| default(…)`, or ask for its status"
            self.report.add_warning("maybe_missing", pointer, f"{where}{step!r:.60} may not have run: {reason}", hint)


@cache
def _list_converted(model: Any) -> frozenset[str]:
    """Return the parameters whose values pass through code before their type is checked."""
    decorators = model.__pydantic_decorators__
    every = any(each.info.mode != "after" for each in decorators.model_validators.values())
    early = [each.info for each in decorators.field_validators.values() if each.info.mode != "after"]
    named = {name for info in early for name in info.fields}
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if every
        or name in named
        or any(isinstance(each, BeforeValidator | WrapValidator | PlainValidator) for each in field.metadata)
    )


@cache
def _read_model(model: Any) -> dict[str, Any]:
    return dict(model.model_json_schema())
