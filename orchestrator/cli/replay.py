"""`replay`: check recorded histories against the current code."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.environment import load_client_settings
from orchestrator.cli.failures import FAILED
from orchestrator.cli.files import read_text, require_writable
from orchestrator.cli.output import print_line
from orchestrator.cli.signals import run_until_signal


def replay(
    source: Annotated[str, typer.Argument(metavar="FILE|RUN", help="A history as JSON, or the ID of a run.")],
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the history of the run to this file.")
    ] = None,
) -> None:
    """Check that a recorded history replays on the current code."""
    if save is not None:
        require_writable(save, "--save")
    text = read_text(source) if Path(source).exists() else None

    async def work() -> Exception | None:
        from orchestrator.cli.logs import configure
        from orchestrator.temporal.client.connection import connect
        from orchestrator.temporal.client.run_reader import RunReader
        from orchestrator.temporal.replay import replay as replay_history

        configure("text", "error")
        history = text
        if history is None:
            here = load_client_settings()
            history = await RunReader(await connect(here), here).export_history(source)
        if save is not None:
            save.write_text(history)
        return await replay_history(Path(source).stem, history)

    failure = run_until_signal(work())
    if failure is not None:
        print_line(f"{source} does not replay: {failure}", "red")
        raise typer.Exit(FAILED)
    print_line(f"{source} replays", "green")
