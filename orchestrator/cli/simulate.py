"""`simulate`: a run on a virtual clock, without any server, told step by step."""

from typing import Annotated

import typer

from orchestrator.cli import mocks, options
from orchestrator.cli.failures import FAILED
from orchestrator.cli.files import json_argument
from orchestrator.cli.output import document, line, note, styled
from orchestrator.cli.planning import check_given, planned


def simulate(
    file: options.DefinitionFile,
    given: options.Input = None,
    actions: Annotated[str | None, typer.Option(metavar="FILE", help="Answers of actions, as YAML or JSON.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JSON@SECONDS", help="Send the run an event; may be repeated."),
    ] = None,
    with_files: options.With = None,
    as_json: options.Json = False,
) -> None:
    """Run a definition on a virtual clock: nothing is called, months take milliseconds."""
    from orchestrator.cli.trace import lines
    from orchestrator.simulator.simulate import simulate as run_simulation

    answers = mocks.read_mocks(actions)
    events = [mocks.event(one) for one in event or ()]
    value = json_argument(given, "--input")
    _, plan = planned(file, with_files, answers)
    check_given(plan, value)
    run = run_simulation(plan, input=value, actions=answers, events=events)
    if as_json:
        document(run.model_dump(mode="json"))
    else:
        for told in lines(run):
            line(told, styled(told, run.status))
        if run.output is not None:
            document(run.output)
    if run.status == "waiting":
        note("the run waits for what was not given", "yellow")
    if run.status != "completed":
        raise typer.Exit(FAILED)
