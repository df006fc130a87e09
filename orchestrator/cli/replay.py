"""`replay`: check recorded histories against the current code."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import load_client_settings
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import read_text, require_writable
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import format_count
from orchestrator.cli.signals import run_until_signal

if TYPE_CHECKING:
    from orchestrator.temporal.replay_runs import Mismatch, ReplayCount

DEFAULT_LAST = 100
NOTE_SECONDS = 2.0
"""How often the progress is shown."""


def replay(
    source: Annotated[
        str | None, typer.Argument(metavar="FILE|RUN", help="A history as JSON, or the ID of a run.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the history of the run to this file.")
    ] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Replay every open run of the namespace.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Replay only N open runs, some of each workflow.")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Replay the last runs that have ended.")] = False,
    last: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Number of runs that have ended ({DEFAULT_LAST}).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check that recorded histories replay on this build.

    With `--open` the gate before a deployment: it ends with 1 at the first run that this build would not continue as
    it has begun.
    """
    if sum((source is not None, is_open, closed)) != 1:
        raise UsageError("name a history or a run, or use --open or --closed")
    for value, is_usable, message in (
        (save, source is not None, "--save needs a run"),
        (sample, is_open, "--sample needs --open"),
        (last, closed, "--last needs --closed"),
    ):
        if value is not None and not is_usable:
            raise UsageError(message)
    if source is None:
        _replay_many(sample, DEFAULT_LAST if last is None else last, closed=closed, as_json=as_json)
    else:
        _replay_one(source, save, as_json=as_json)


def _replay_one(source: str, save: Path | None, *, as_json: bool) -> None:
    if save is not None:
        require_writable(save, "--save")
    text = read_text(source) if Path(source).exists() or source.endswith(".json") else None

    async def work() -> Exception | None:
        from orchestrator.cli.logs import configure
        from orchestrator.temporal.client.connection import connect
        from orchestrator.temporal.client.run_reader import RunReader
        from orchestrator.temporal.replay import replay as replay_history

        configure("text", "error")
        from orchestrator.temporal.payload_store.driver import build_data_converter

        history, here = text, load_client_settings()
        if history is None:
            history = await RunReader(await connect(here), here).export_history(source)
        if save is not None:
            save.write_text(history)
        return await replay_history(Path(source).stem, history, build_data_converter(here))

    failure = run_until_signal(work())
    if as_json:
        print_json({"source": source, "replays": failure is None, "difference": failure and str(failure)})
    elif failure is None:
        print_line(f"{source} replays", "green")
    else:
        print_line(f"{source} does not replay: {failure}", "red")
    if failure is not None:
        raise typer.Exit(FAILED)


def _replay_many(sample: int | None, last: int, *, closed: bool, as_json: bool) -> None:
    async def work() -> "tuple[int, ReplayCount, Mismatch | None]":
        from orchestrator.cli.logs import configure
        from orchestrator.temporal.client.connection import connect
        from orchestrator.temporal.client.visibility import Visibility
        from orchestrator.temporal.replay_runs import ReplayCount, choose_sample, replay_runs

        configure("text", "error")
        client = await connect(load_client_settings())
        executions = await Visibility(client).list_executions(ended=closed, limit=last if closed else None)
        if sample is not None:
            executions = choose_sample(executions, sample)
        print_note(f"{format_count(len(executions), 'execution')} to replay")
        count = ReplayCount()
        mismatch = await replay_runs(client, executions, _Reporter(len(executions)).report, count)
        return len(executions), count, mismatch

    total, count, mismatch = run_until_signal(work())
    document: dict[str, Any] = {"total": total, "replayed": count.replayed, "gone": count.gone, "mismatch": None}
    if mismatch is not None:
        document["mismatch"] = {"run_id": mismatch.workflow_id, "difference": mismatch.message}
    if as_json:
        print_json(document)
    elif mismatch is None:
        gone = f"; {count.gone} are no longer stored" if count.gone else ""
        print_line(f"{count.replayed} of {total} replay{gone}", "green")
    else:
        print_line(f"{mismatch.workflow_id} does not replay: {mismatch.message}", "red")
    if mismatch is not None:
        raise typer.Exit(FAILED)


class _Reporter:
    """Prints how far a replay has come, every few seconds."""

    def __init__(self, total: int) -> None:
        import time

        self.total = total
        self.clock = time.monotonic
        self.printed_at = self.clock()

    def report(self, count: "ReplayCount") -> None:
        """Print the progress if the last time was a while ago."""
        if self.clock() - self.printed_at >= NOTE_SECONDS:
            self.printed_at = self.clock()
            print_note(f"{count.replayed} of {self.total} replayed")
