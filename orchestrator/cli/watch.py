"""`--watch`: run a command again whenever a file that it may read has changed."""

import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import DEFINITION_ENDINGS, STDIN
from orchestrator.cli.output import print_note

if TYPE_CHECKING:
    import typer
    from watchfiles import Change, DefaultFilter

OPTION = "--watch"
ENDINGS = (*DEFINITION_ENDINGS, ".py")
"""Endings of files that matter: definitions, what lies beside them, and modules of actions."""
SHOWN = 3
ROUND_MILLISECONDS = 200
"""Length of a round in which nothing changes. The command starts after the first round."""


def rerun_on_changes(context: "typer.Context", names: Iterable[str]) -> None:
    """Run this command without `--watch`, again after each change, until Ctrl-C.

    Each time in a new process, so that a changed module of actions counts too. A run in progress is stopped first.
    """
    from watchfiles import watch

    folders, is_deep = list_folders(names)
    line = [sys.executable, "-m", "orchestrator.cli", *(each for each in context.find_root().obj if each != OPTION)]
    print_note(f"watching {', '.join(map(str, folders))}; Ctrl-C ends")
    # Without a filter: what it leaves out would prolong the first round.
    rounds = watch(
        *folders, watch_filter=None, recursive=is_deep, rust_timeout=ROUND_MILLISECONDS, yield_on_timeout=True
    )
    next(rounds)  # from here on no change goes unnoticed
    matters = _make_filter()
    process = subprocess.Popen(line, stdin=subprocess.DEVNULL)  # noqa: S603 - this very command
    try:
        for changes in rounds:
            changed = [path for change, path in changes if matters(change, path)]
            if not changed:
                continue
            process.terminate()
            process.wait()
            print_note(f"\n{datetime.now():%H:%M:%S} {_name_changed(changed)} changed", "bold")
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL)  # noqa: S603 - this very command
    finally:
        process.wait()


def list_folders(names: Iterable[str]) -> tuple[list[Path], bool]:
    """Return the folders to watch, and whether with those inside them; raises UsageError.

    For a file it is the one that it is in: an editor may replace the file, and a watch of it would end.
    """
    folders = []
    is_deep = False
    for name in names:
        if name == STDIN:
            raise UsageError(f"{OPTION} needs files, not stdin")
        path = Path(name)
        is_deep = is_deep or path.is_dir()
        folder = path if path.is_dir() else path.parent
        if not folder.is_dir():
            raise UsageError(f"folder {folder} does not exist")
        folders.append(folder)
    return list(dict.fromkeys(folders)), is_deep


def _make_filter() -> "DefaultFilter":
    from watchfiles import DefaultFilter

    class Filter(DefaultFilter):
        def __call__(self, change: "Change", path: str) -> bool:
            return path.endswith(ENDINGS) and super().__call__(change, path)

    return Filter()


def _name_changed(paths: Iterable[str]) -> str:
    names = sorted({Path(path).name for path in paths})
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
