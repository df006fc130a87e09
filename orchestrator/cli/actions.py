"""`actions`: what nodes can call."""

from typing import Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageProblem
from orchestrator.cli.output import document, line, table

app = typer.Typer(help="Actions that nodes can call.", no_args_is_help=True)


@app.command("list")
def list_actions(as_json: options.Json = False) -> None:
    """List the registered actions."""
    from orchestrator.cli.catalogue import registry

    known = registry()
    specs = [known.get(name) for name in known.names()]
    found = [_described(spec) for spec in specs]
    if as_json:
        document(found)
    else:
        table(("action", "does"), [(entry["name"], entry["description"].partition("\n")[0]) for entry in found])


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ACTION", help="The action's name.")],
    as_json: options.Json = False,
) -> None:
    """Show an action's parameters, result and defaults."""
    from orchestrator.cli.catalogue import registry
    from orchestrator.planner.report import did_you_mean

    known = registry()
    spec = known.get(name)
    if spec is None:
        raise UsageProblem(f"there is no action {name!r}", hint=did_you_mean(name, known.names()))
    found = _described(spec)
    if as_json:
        document(found)
        return
    line(found["name"], "bold")
    line(found["description"])
