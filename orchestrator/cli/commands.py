"""Register the commands. A command imports what it needs when it runs, so that `--help` is fast."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from orchestrator.cli import (
    actions,
    audit,
    deliveries,
    events,
    fmt,
    init,
    keys,
    migrate,
    record,
    regress,
    repair,
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
from orchestrator.cli.api_command import add_server_options, api_command
from orchestrator.cli.examples import format_examples, format_overview
from orchestrator.cli.failures import INTERRUPTED, PIPE_CLOSED, UsageError, describe_bad_parameter, report
from orchestrator.cli.output import discard_output, print_line
from orchestrator.cli.own_packages import import_own_packages_first
from orchestrator.cli.signals import Interrupted
from orchestrator.errors import OrchestratorError

DISTRIBUTION = "durable-graphs"
GROUPS = {
    "Develop": ("init", "dev", "run", "simulate", "test", "test record", "regress", "actions"),
    "Author": ("validate", "fmt", "graph", "schema", "workflows", "schedule"),
    "Operate": (
        *("runs", "events", "deliveries", "audit", "keys", "secrets"),
        *("server", "api", "worker", "store", "replay"),
    ),
}
"""Commands by what they are for, in the order of the help."""
JSON_OPTION = "--json"


def move_json_option(group: Any, args: list[str]) -> list[str]:
    """Return a command line with `--json` behind the command: it is an option of commands, not of groups."""
    command, path, rest, is_there = group, [], list(args), False
    while rest and hasattr(command, "commands"):
        word = rest.pop(0)
        if word == JSON_OPTION:
            is_there = True
            continue
        path.append(word)
        command = command.commands.get(word)
    if rest and f"{' '.join(path)} {rest[0]}" in group.commands:
        path.append(rest.pop(0))
    return [*path, JSON_OPTION, *rest] if is_there else args


class Commands(TyperGroup):
    """Turns errors into messages and exit codes: the only place of the command line that does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; `--watch` runs it again, and `--json` may be written before the command too."""
        ctx.obj = move_json_option(self, args)
        return super().parse_args(ctx, list(ctx.obj))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command; the name of one may have two words, such as `test record` beside `test`."""
        name = " ".join(args[:2])
        if name in self.commands:
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command and report its errors."""
        as_json = JSON_OPTION in ctx.args
        try:
            import_own_packages_first()
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OrchestratorError as error:
            raise typer.Exit(report(error, as_json=as_json)) from error
        except TyperException as error:
            if isinstance(error, typer.BadParameter):
                error.message = describe_bad_parameter(error)
            if not as_json:
                raise
            raise typer.Exit(report(UsageError(error.format_message()), as_json=True)) from error
        except Interrupted as interrupted:
            raise typer.Exit(interrupted.code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            discard_output()
            raise typer.Exit(PIPE_CLOSED) from None
        return result

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Print the commands in their groups."""
        width = max(map(len, self.commands))
        for title, names in GROUPS.items():
            known = [(name, self.commands[name]) for name in names if name in self.commands]
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), each.get_short_help_str(formatter.width - width - 6)) for name, each in known]
                )


app = typer.Typer(
    name="orchestrator",
    cls=Commands,
    help="Run workflows defined as graphs, in JSON or YAML, durably on Temporal.",
    epilog=format_overview(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    """Print the version of the distribution and exit."""
    if wanted:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as read_version

        try:
            print_line(f"orchestrator {read_version(DISTRIBUTION)}")
        except PackageNotFoundError:
            print_line("orchestrator, run from a folder without being installed")
        raise typer.Exit


@app.callback()
def define_options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run workflows defined as graphs, in JSON or YAML, durably on Temporal."""


app.command()(init.init)
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
api_command(app, "test record")(record.record)
api_command(app, only_reads=True)(regress.regress)
app.command()(replay.replay)
app.command()(schema.schema)
app.add_typer(workflows.app, name="workflows")
api_command(runs.app)(repair.repair)
api_command(runs.app)(migrate.migrate)
app.add_typer(runs.app, name="runs")
app.add_typer(events.app, name="events")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(audit.app, name="audit")
app.add_typer(actions.app, name="actions")
app.add_typer(schedule.app, name="schedule")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.add_typer(store.app, name="store")


def add_examples(group: typer.Typer, prefix: str = "") -> None:
    """Show examples at the end of the help of each command."""
    for command in group.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        command.epilog = format_examples(f"{prefix}{name}")
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            add_examples(inner.typer_instance, f"{inner.name} ")


add_examples(app)
