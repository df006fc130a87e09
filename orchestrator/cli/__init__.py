"""Register the commands. A command imports what it needs when it runs, so that `--help` is fast."""

import atexit
import time
from typing import Any

import typer
from typer.core import TyperGroup

from orchestrator.cli import (
    actions,
    deliveries,
    fmt,
    keys,
    replay,
    run,
    runs,
    schedule,
    schema,
    secrets,
    serve,
    simulate,
    store,
    test,
    validate,
    workflows,
)  # fmt: skip
from orchestrator.cli.api_command import add_server_options
from orchestrator.cli.failures import INTERRUPTED, describe_bad_parameter, report
from orchestrator.cli.output import show_everything
from orchestrator.cli.own_packages import import_own_packages_first
from orchestrator.cli.signals import Interrupted
from orchestrator.errors import OrchestratorError


class Commands(TyperGroup):
    """Turns errors into messages and exit codes: the only place of the command line that does."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command and report its errors."""
        try:
            import_own_packages_first()
            return super().invoke(ctx)
        except OrchestratorError as error:
            raise typer.Exit(report(error)) from error
        except typer.BadParameter as error:
            error.message = describe_bad_parameter(error)
            raise
        except Interrupted as interrupted:
            raise typer.Exit(interrupted.code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="orchestrator",
    cls=Commands,
    help="Run workflows defined as JSON graphs durably on Temporal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.dev)
app.command()(serve.server)
app.command()(serve.api)
app.command()(serve.worker)
app.command()(add_server_options(run.run, run.run))
app.command()(add_server_options(validate.validate, validate.validate))
app.command()(fmt.fmt)
app.command()(validate.graph)
app.command()(simulate.simulate)
app.command("test")(test.run_cases)
app.command()(replay.replay)
app.command()(schema.schema)
app.add_typer(workflows.app, name="workflows")
app.add_typer(runs.app, name="runs")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(actions.app, name="actions")
app.add_typer(schedule.app, name="schedule")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line."""
    # Native threads of the Temporal client may still be shutting down; see docs/design.md.
    atexit.register(time.sleep, 0.05)
    show_everything()
    app()
