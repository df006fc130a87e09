"""`schedule`: show fire times, trigger and backfill schedules."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_json, print_line, print_note, print_result

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient

app = typer.Typer(help="Show fire times, trigger and backfill schedules.", no_args_is_help=True)


@app.command("next")
def next_times(
    cron: Annotated[str, typer.Argument(metavar="CRON", help='Five fields in quotes, or "@daily".')],
    count: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Number of fire times.")] = 5,
    timezone: Annotated[str, typer.Option(metavar="NAME", help="IANA name of the time zone of the fields.")] = "UTC",
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="ISO 8601 time to start from; now by default.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print the next fire times of a cron expression.

    They are in its time zone and in UTC.
    """
    from orchestrator.model.run import format_timestamp
    from orchestrator.timing.cron import LAST_YEAR, load_zone
    from orchestrator.timing.fire_times import list_fire_times

    where = load_zone(timezone)
    times = list_fire_times(cron, _parse_time(after, "--after"), count, timezone)
    if len(times) < count:
        print_note(f"no further fire times: schedules end with the year {LAST_YEAR}")
    if as_json:
        print_json([format_timestamp(time) for time in times])
        return
    for time in times:
        print_line(f"{time.astimezone(where):%a %Y-%m-%d %H:%M %Z}\t{time:%Y-%m-%dT%H:%M:%SZ}")


@api_command(app, only_reads=True)
def show(
    client: "ApiClient",
    workflow: options.WorkflowId,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Number of fire times.")] = 5,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Show the next fire times of a workflow.

    Its output includes whether the schedule is installed.
    """
    schedule = client.get(_get_path(workflow), count=count, customer_id=customer)
    if as_json:
        print_json(schedule)
        return
    state = "paused" if schedule["paused"] else "installed" if schedule["installed"] else "not installed"
    print_line(f"{workflow}: {state}")
    for time in schedule["next_times"]:
        print_line(time)


@api_command(app)
def trigger(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Start a run of a scheduled workflow now.

    It starts even if the schedule is paused.
    """
    started = client.post(f"{_get_path(workflow)}/trigger", customer_id=customer)
    print_result(f"{workflow}: started run {started['id']}", started, as_json=as_json)


@api_command(app)
def backfill(
    client: "ApiClient",
    workflow: options.WorkflowId,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601 time, inclusive.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="ISO 8601 time, inclusive.")],
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Start the runs that a schedule has missed in a period.

    They are started one after another.
    """
    from orchestrator.model.run import format_timestamp

    first, last = _parse_time(start, "--from"), _parse_time(end, "--to")
    if last < first:
        raise UsageError("--to is before --from")
    span = {"start_at": format_timestamp(first), "end_at": format_timestamp(last)}
    answer = client.post(f"{_get_path(workflow)}/backfill", span, customer_id=customer)
    count = answer["runs"]
    print_result(f"{workflow}: {count} {'run' if count == 1 else 'runs'} started", answer, as_json=as_json)


def _get_path(workflow: str) -> str:
    from orchestrator.cli.client import quote_id

    return f"/workflows/{quote_id(workflow)}/schedule"


def _parse_time(text: str | None, option: str) -> datetime:
    from orchestrator.timing.cron import EPOCH, LAST_YEAR

    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not an ISO 8601 time", hint="for example 2026-03-01T08:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EPOCH <= moment < datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC):
        raise UsageError(f"{option} {text!r} is not between {EPOCH.year} and {LAST_YEAR}")
    return moment
