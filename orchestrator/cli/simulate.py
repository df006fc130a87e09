"""`simulate`: run a definition on a virtual clock, without a server."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from orchestrator.cli import mocks, options
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import FAILED
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.output import choose_style, print_json, print_line, print_note
from orchestrator.cli.planning import plan_file, require_valid_input
from orchestrator.cli.watch import rerun_on_changes

if TYPE_CHECKING:
    from orchestrator.planner.policies import Catalogue


def simulate(
    context: typer.Context,
    file: options.DefinitionFile,
    run_input: options.Input = None,
    actions: Annotated[str | None, typer.Option(metavar="FILE", help="Mocks of actions, as YAML or JSON.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JSON@SECONDS", help="Send an event to the run; repeatable."),
    ] = None,
    with_files: options.With = None,
    watch: options.Watch = False,
    as_json: options.Json = False,
) -> None:
    """Run a definition on a virtual clock, without calling actions.

    Months take milliseconds, and no server is needed.
    """
    if watch:
        read_from = [run_input[1:]] if run_input and run_input.startswith("@") else []
        rerun_on_changes(context, [file, *(with_files or ()), *([actions] if actions else ()), *read_from])
        return
    from orchestrator.cli.trace import format_trace
    from orchestrator.simulator.simulate import simulate as run_simulation

    answers = mocks.read_mocks(actions)
    events = [mocks.parse_event(one) for one in event or ()]
    value = parse_json_argument(run_input, "--input")
    _, plan = plan_file(file, with_files, answers)
    require_valid_input(plan, value)
    run = run_simulation(plan, input=value, actions=answers, events=events, registry=cast("Catalogue", load_actions()))
    if as_json:
        print_json(run.model_dump(mode="json"))
    else:
        for text in format_trace(run):
            print_line(text, choose_style(text, run.status))
        if run.output is not None:
            print_json(run.output)
    if run.status == "waiting":
        print_note("the run is waiting for an event or an operator: see --event", "yellow")
    if run.status != "completed":
        raise typer.Exit(FAILED)
