"""`test record`: make a test case of a real run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.cases import get_cases_file, parse_case, plan_case, run_case
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import LoadedFile, list_definition_files, read_json, read_text
from orchestrator.cli.output import print_line, print_note, print_result
from orchestrator.cli.planning import format_count

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.cli.client import ApiClient
    from orchestrator.model.plan import Plan
    from orchestrator.model.run import Run
    from orchestrator.simulator.masking import Masker
    from orchestrator.simulator.simulate import Trace


def record(
    client: "ApiClient",
    run_id: options.RunId,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Definition of the run; by default the one of its ID here.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Name of the case.")] = None,
    mask: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Mask the values of a key; repeatable.")] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Do not mask the values of a key; repeatable.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Add a test case that repeats a real run.

    It is added to the cases of the definition. Results of actions become answers, what operators repaired is repeated,
    and its steps and output are what the case expects. Secrets and personal data are masked, by the names of keys and
    the forms of values.
    """
    from orchestrator.model.run import ENDED
    from orchestrator.simulator.masking import Masker
    from orchestrator.simulator.recorded_repairs import read_repairs

    run = client.read_run(run_id)
    if run.status not in ENDED or run.status == "cancelled":
        hint = "only a run that has completed or failed can be repeated"
        raise UsageError(f"run {run.id} is {run.status}", hint=hint)
    if not run.complete or run.steps_total > len(run.steps):
        raise UsageError(f"the record of run {run.id} has not all of its steps")
    definition = read_json(file) if file is not None else _find_definition(run.workflow_id)
    recording = Recording(run, definition, load_actions())
    masker = Masker(mask or (), keep or ())
    case, differences = recording.make(name or f"as in run {run.id}", masker)
    for problem in (*read_repairs(run).unrepeatable, *differences):
        print_note(problem, "yellow")
    if differences:
        hint = "it may be of another version, or a masked value was compared: --keep KEY leaves a value as it is"
        raise UsageError("the case does not repeat the run", hint=hint)
    path = get_cases_file(definition.name)
    _append(path, case)
    masked = len(masker.masks) + len(masker.numbers)
    print_result(
        f"{path}: added {case['name']!r}", {"file": str(path), "case": case, "masked": masked}, as_json=as_json
    )
    print_note(f"{format_count(masked, 'value')} masked; read the case before you share it")


def _find_definition(workflow_id: str) -> LoadedFile:
    """Return the definition of a workflow in this folder; raises UsageError."""
    for name in list_definition_files(["."]):
        file = _try_read(name)
        if file is not None and isinstance(file.value, Mapping) and file.value.get("id") == workflow_id:
            return file
    raise UsageError(
        f"no definition in this folder has the id {workflow_id!r}", hint="name its file after the ID of the run"
    )


def _try_read(name: str) -> LoadedFile | None:
    from orchestrator.errors import OrchestratorError

    try:
        return read_json(name)
    except OrchestratorError:
        return None


class Recording:
    """A run, and the definition with which it is repeated."""

    def __init__(self, run: "Run", file: LoadedFile, known: "Registry") -> None:
        self.run = run
        self.file = file
        self.known = known
        self.callees = _find_callees(file)

    def make(self, name: str, masker: "Masker") -> tuple[dict[str, Any], list[str]]:
        """Return a case that repeats the run, and where it does not.

        Calls take no time, unless the run can be repeated only if they take as long as they did.
        """
        from orchestrator.simulator.recording import build_case

        callees = [read_json(each) for each in self.callees]
        plan, errors = plan_case(self.file, {"actions": {}, "results": self._list_steps(), "with": callees}, self.known)
        if plan is None:
            return {}, errors
        differences: list[str] = []
        for with_seconds in (False, True):
            case = build_case(self.run, plan, name, masker, with_seconds=with_seconds)
            if self.callees:
                case["with"] = [Path(each).name for each in self.callees]
            differences = self._check(plan, case)
            if not differences:
                break
        return case, differences

    def _list_steps(self) -> list[str]:
        return [step.id for step in self.run.steps]

    def _check(self, plan: "Plan", case: dict[str, Any]) -> list[str]:
        """Return where a case fails; an output that the run cannot repeat, such as one with its ID, is left out."""
        from orchestrator.simulator.expectations import compare

        trace = self._run(plan, case)
        differences = list(compare(case["expect"], trace))
        if differences and all(each.startswith("output:") for each in differences):
            del case["expect"]["output"]
            print_note("the output is not in the case, as it is another one in each run", "yellow")
            return []
        return differences

    def _run(self, plan: "Plan", case: dict[str, Any]) -> "Trace":
        """Run a case, with the keys of its events: they are known when a wait asks for them."""
        from orchestrator.simulator.recording import add_keys

        while True:
            trace = run_case(plan, parse_case(case, "the case", Path(self.file.name).parent), self.known)
            if not add_keys(case, trace.run.waiting_for):
                return trace


def _find_callees(file: LoadedFile) -> list[str]:
    """Return the files beside a definition that it calls, directly or indirectly."""
    from orchestrator.planner.calls import find_callees

    beside = [
        read
        for name in list_definition_files([str(Path(file.name).parent)])
        if Path(name).parent == Path(file.name).parent and (read := _try_read(name)) is not None
    ]
    by_id = {each.value["id"]: each for each in beside if isinstance(each.value, Mapping) and "id" in each.value}
    found: dict[str, str] = {}
    pending = [file]
    while pending:
        for workflow_id, _ in sorted(find_callees(pending.pop().value), key=str):
            if workflow_id in by_id and workflow_id not in found:
                found[workflow_id] = by_id[workflow_id].name
                pending.append(by_id[workflow_id])
    return list(found.values())


def _append(path: Path, case: dict[str, Any]) -> None:
    """Add a case to the end of a file; raises UsageError where that cannot be done without changing the others."""
    from orchestrator.jsontools.documents import parse_document
    from orchestrator.jsontools.source import JsonSyntaxError
    from orchestrator.jsontools.yaml_format import dump_yaml

    text = dump_yaml([case])
    before = read_text(str(path)) if path.exists() else ""
    whole = f"{before.rstrip()}\n\n{text}" if before.strip() else text
    cases = parse_document(before, path.name).value if before.strip() else []
    try:
        fits = parse_document(whole, path.name).value == [*cases, case]
    except JsonSyntaxError:
        fits = False
    if not fits:
        print_line(text)
        raise UsageError(f"{path} is not a list with a line for each case", hint="add the printed case by hand")
    path.write_text(whole, encoding="utf-8")
