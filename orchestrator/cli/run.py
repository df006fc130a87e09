"""`run`: start a run of a definition file and wait for its end."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import pop_server_options
from orchestrator.cli.environment import load_actions, load_settings
from orchestrator.cli.failures import FAILED, ApiError, UsageError
from orchestrator.cli.files import parse_json_argument, read_json
from orchestrator.cli.follow import follow, show_end
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import plan_file, require_valid_input, show_input_problems
from orchestrator.cli.server_address import ServerOptions
from orchestrator.cli.signals import Interrupted, interrupt_on_signal, run_until_signal

if TYPE_CHECKING:
    from orchestrator.model.run import Run

EMBEDDED = "embedded"
UI_PORT = 8233
AD_HOC_VERSION = 0
"""The version of a run of a definition that is not stored: it does not count as a published one."""
NOT_STARTED = "no run was started"


def run(
    file: options.DefinitionFile,
    run_input: options.Input = None,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Show the progress of the run.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Print the ID of the run and exit.")] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="embedded", help="`embedded` starts Temporal and a worker for this run, without an API."),
    ] = None,
    with_files: options.With = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
    **address: Any,
) -> None:
    """Run a definition without storing it, and wait for its end.

    Ctrl-C does not stop the run: follow it again with `orchestrator runs watch`.
    """
    named = pop_server_options(address)
    if server not in (None, EMBEDDED):
        raise UsageError(f"--server {server!r} is not known", hint="--url names an API; --server embedded needs none")
    value = parse_json_argument(run_input, "--input")
    if server == EMBEDDED:
        if detach:
            raise UsageError("--detach needs a server that keeps running, and the embedded one stops with this command")
        finished: Run | None = _run_embedded(file, value, with_files, quiet=as_json or not watch)
    else:
        finished = _run_with_api(
            named, file, value, with_files, customer, detach=detach, quiet=as_json or not watch, as_json=as_json
        )
    if finished is None:
        return
    show_end(finished, as_json=as_json, status_shown=watch)
    if server == EMBEDDED and not as_json:
        print_note(
            "the embedded server has stopped; the link works while `orchestrator dev` runs on the same state folder"
        )
    if finished.status != "completed":
        raise typer.Exit(FAILED)


def _run_with_api(
    named: ServerOptions,
    name: str,
    run_input: Any,
    with_files: Iterable[str] | None,
    customer: str | None,
    *,
    detach: bool,
    quiet: bool,
    as_json: bool,
) -> "Run | None":
    """Start a run by the API and follow it; `None` if it is detached."""
    from orchestrator.cli.client import ApiClient
    from orchestrator.cli.push import choose_customer, require_valid

    file, callees = read_json(name), [read_json(each) for each in with_files or ()]
    with interrupt_on_signal(), ApiClient(named) as client:
        owner = choose_customer(file, customer)
        require_valid(client, {owner: [file, *callees]}, NOT_STARTED)
        request = {"definition": file.value, "input": run_input, "callees": [each.value for each in callees]}
        try:
            started = client.post("/runs", request, customer_id=owner)
        except ApiError as error:
            show_input_problems(error.problems, run_input)
            raise
        if detach:
            print_json(client.get(f"/runs/{started['id']}")) if as_json else print_line(started["id"])
            return None
        print_note(f"run {started['id']}")
        return follow(client, started["id"], quiet=quiet)


def _run_embedded(name: str, run_input: Any, with_files: Iterable[str] | None, *, quiet: bool) -> "Run":
    """Start a server of its own, run the definition there and stop the server."""
    from orchestrator.cli.embedded import create_home_file, is_port_free, lock_home, run_embedded
    from orchestrator.cli.logs import configure
    from orchestrator.cli.progress import choose_progress

    _, plan = plan_file(name, with_files)
    require_valid_input(plan, run_input)
    plan = plan.model_copy(update={"version": AD_HOC_VERSION})
    here = load_settings()
    configure(here.log_format, here.log_level, create_home_file(here.home / "worker.log"))
    started: list[str] = []

    async def work() -> "Run":
        ui_port = UI_PORT if is_port_free(UI_PORT) else 0
        async with run_embedded(here, load_actions(here), ui_port=ui_port) as running:
            run_id = (await running.runs.start(running.runs.prepare(plan, input_data=run_input))).id
            started.append(run_id)
            print_note(f"run {run_id}")
            with choose_progress(quiet=quiet) as display:
                async for document in running.runs.reader.watch(run_id):
                    display.show(document)
            return document

    try:
        with lock_home(here.home):
            return run_until_signal(work())
    except Interrupted:
        for run_id in started:
            print_note(f"the run is stored and resumes with `orchestrator dev`: orchestrator runs watch {run_id}")
        raise
