"""`run`: start a run of a definition file and wait for its end."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import load_actions, load_client_settings, load_settings
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.follow import follow, show_end
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import plan_file, require_valid_input
from orchestrator.cli.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from orchestrator.model.run import Run
    from orchestrator.temporal.client.runs import Runs

EMBEDDED = "embedded"
UI_PORT = 8233


def run(
    file: options.DefinitionFile,
    run_input: options.Input = None,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Show the progress of the run.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Print the ID of the run and exit.")] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|embedded", help="Temporal server as host:port; `embedded` starts one for this run."
        ),
    ] = None,
    with_files: options.With = None,
    as_json: options.Json = False,
) -> None:
    """Run a definition on Temporal and wait for its end.

    Ctrl-C does not stop the run: follow it again with `orchestrator runs watch`.
    """
    if detach and server == EMBEDDED:
        raise UsageError("--detach needs a server that keeps running, and the embedded one stops with this command")
    value = parse_json_argument(run_input, "--input")
    _, plan = plan_file(file, with_files)
    require_valid_input(plan, value)

    async def work(runs: "Runs", started: list[str]) -> "Run | None":
        run_id = (await runs.start(runs.prepare(plan, input_data=value))).id
        started.append(run_id)
        if detach:
            _print_started(run_id, await runs.reader.read_document(run_id) if as_json else None)
            return None
        print_note(f"run {run_id}")
        return await follow(runs, run_id, quiet=as_json or not watch)

    finished = _run_on_server(work, server)
    if finished is None:
        return
    show_end(finished, as_json=as_json, status_shown=watch)
    if server == EMBEDDED and not as_json:
        print_note(
            "the embedded server has stopped; the link works while `orchestrator dev` runs on the same state folder"
        )
    if finished.status != "completed":
        raise typer.Exit(FAILED)


Work = Callable[["Runs", list[str]], Awaitable["Run | None"]]


def _run_on_server(work: Work, server: str | None) -> "Run | None":
    """Do the work with a client; on a signal, print how to follow the run later."""
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs

    started: list[str] = []

    async def with_client() -> "Run | None":
        here = load_client_settings(server)
        configure("text", "warning")
        return await work(Runs(await connect(here), here), started)

    async def with_embedded() -> "Run | None":
        from orchestrator.cli.embedded import create_home_file, is_port_free, run_embedded

        here = load_settings()
        configure(here.log_format, here.log_level, create_home_file(here.home / "worker.log"))
        async with run_embedded(here, load_actions(here), ui_port=UI_PORT if is_port_free(UI_PORT) else 0) as running:
            return await work(running.runs, started)

    try:
        return run_until_signal(with_embedded() if server == EMBEDDED else with_client())
    except Interrupted as interrupted:
        for run_id in started:
            still_running = f"the run continues; follow it with: orchestrator runs watch {run_id}"
            stored = f"the run is stored and resumes with `orchestrator dev`: orchestrator runs watch {run_id}"
            print_note(stored if server == EMBEDDED else still_running)
        raise typer.Exit(interrupted.code) from None


def _print_started(run_id: str, run: "Run | None") -> None:
    if run is None:
        print_line(run_id)
    else:
        print_json(run.model_dump(mode="json"))
