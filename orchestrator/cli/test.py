"""`test`: run the test cases next to a definition on the simulator."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.cases import get_cases_file, plan_case, read_cases, run_case
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import LoadedFile, list_definition_files, read_json, require_writable
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import format_count
from orchestrator.cli.reports import format_test_junit
from orchestrator.cli.watch import rerun_on_changes
from orchestrator.errors import DefinitionInvalid

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.drawing.overlay import Overlay
    from orchestrator.model.plan import Plan
    from orchestrator.model.run import StepDocument
    from orchestrator.simulator.coverage import Coverage

Result = dict[str, Any]
"""`{file, name, passed, differences}`: a case that was run."""


def run_cases(
    context: typer.Context,
    files: options.DefinitionPaths,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell which nodes, edges and branches no case has covered.")
    ] = False,
    graph: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw the coverage of each definition to a picture in this folder."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report to this file.")] = None,
    watch: options.Watch = False,
    as_json: options.Json = False,
) -> None:
    """Run the test cases beside a definition on a virtual clock.

    They are in `NAME.tests.yaml` next to each `NAME.json`. For a folder, the cases of all definitions in it are run.
    """
    if watch:
        rerun_on_changes(context, files)
        return
    if junit is not None:
        require_writable(junit, "--junit")
    known = load_actions()
    names = [name for name in list_definition_files(files) if name in files or get_cases_file(name).exists()]
    if not names:
        raise UsageError(f"no definition in {', '.join(files)} has test cases")
    results: list[Result] = []
    reports: list[dict[str, Any]] = []
    for name in names:
        tested = TestedFile(read_json(name))
        for result in tested.run(read_cases(name), known):
            results.append(result)
            if not as_json:
                _print_result(result)
        covered = tested.measure() if coverage or graph is not None else None
        if covered is not None:
            reports.append({"file": name, **covered.to_json()})
            _report_coverage(tested.file, covered, graph, printed=coverage and not as_json)
    failed = sum(not result["passed"] for result in results)
    if as_json:
        print_json({"passed": len(results) - failed, "failed": failed, "cases": results, "coverage": reports})
    else:
        style = "bold red" if failed else "green"
        print_note(f"{format_count(len(results) - failed, 'case')} passed, {failed} failed", style)
    if junit is not None:
        junit.write_text(format_test_junit(results))
    if failed:
        raise typer.Exit(FAILED)


class TestedFile:
    """A definition with the steps of all its cases."""

    __test__ = False  # a class of the program, whatever pytest takes its name for

    def __init__(self, file: LoadedFile) -> None:
        self.file = file
        self.plan: Plan | None = None
        self.steps: list[StepDocument] = []

    def run(self, cases: list[dict[str, Any]], known: "Registry") -> Iterator[Result]:
        """Run cases, one after the other."""
        for case in cases:
            differences = self._find_differences(case, known)
            yield {"file": self.file.name, "name": case["name"], "passed": not differences, "differences": differences}

    def _find_differences(self, case: Mapping[str, Any], known: "Registry") -> list[str]:
        """Run a case and return where the run differs from what it expects."""
        from orchestrator.simulator.expectations import compare

        plan, errors = plan_case(self.file, case, known)
        if plan is None:
            return errors
        self.plan = plan
        try:
            trace = run_case(plan, case, known)
        except DefinitionInvalid as refusal:
            return [f"{problem.path or 'input'}: {problem.message}" for problem in refusal.problems]
        self.steps += trace.steps
        return list(compare(case["expect"], trace))

    def measure(self) -> "Coverage | None":
        """Return what the cases have covered; `None` where the definition has errors."""
        from orchestrator.simulator.coverage import measure_coverage

        return None if self.plan is None else measure_coverage(self.plan, self.steps)


def _print_result(result: Result) -> None:
    print_line(
        f"{'pass' if result['passed'] else 'FAIL'}  {result['file']}: {result['name']}",
        None if result["passed"] else "red",
    )
    for difference in result["differences"]:
        for text in difference.splitlines():
            print_line(f"      {text}")


def _report_coverage(file: LoadedFile, coverage: "Coverage", graph: Path | None, *, printed: bool) -> None:
    if printed:
        _print_coverage(file.name, coverage)
    if graph is not None:
        _draw_coverage(file, coverage, graph)


def _print_coverage(name: str, coverage: "Coverage") -> None:
    from orchestrator.simulator.coverage import list_missing

    report = coverage.to_json()
    counts = ", ".join(f"{report[part]['covered']} of {report[part]['total']} {part}" for part in report)
    missing = [
        *(f"node {node_id} never ran" for node_id in list_missing(coverage.nodes)),
        *(f"edge {source} -{port}-> {target} was never followed"
          for source, port, target in list_missing(coverage.edges)),
        *(f"branch {branch} of {node_id} was never taken" for node_id, branch in list_missing(coverage.branches)),
    ]  # fmt: skip
    print_line(f"covered  {name}: {counts}", "yellow" if missing else "green")
    for text in missing:
        print_line(f"      {text}")


def _draw_coverage(file: LoadedFile, coverage: "Coverage", folder: Path) -> None:
    """Write the graph of a definition with what is covered in green, and what is not in red."""
    from orchestrator.drawing.graph_layout import lay_out
    from orchestrator.drawing.svg import draw_svg

    path = folder / f"{Path(file.name).stem}.svg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(draw_svg(lay_out(file.value), Path(file.name).stem, _make_overlay(coverage)))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", where="--graph") from None
    print_note(f"wrote {path}")


def _make_overlay(coverage: "Coverage") -> "Overlay":
    from orchestrator.drawing.overlay import Emphasis, Overlay

    untaken: dict[str, list[str]] = {}
    for (node_id, branch), is_covered in coverage.branches.items():
        if not is_covered:
            untaken.setdefault(node_id, []).append(branch)
    nodes = {}
    for node_id, has_run in coverage.nodes.items():
        never = f"never taken: {', '.join(untaken[node_id])}" if node_id in untaken else ""
        nodes[node_id] = Emphasis("good" if has_run and not never else "bad", never if has_run else "never ran")
    edges = {
        edge: Emphasis("good" if is_covered else "bad", "" if is_covered else "never followed")
        for edge, is_covered in coverage.edges.items()
    }
    return Overlay(nodes, edges)
