"""Ask before what cannot be undone."""

import sys

import typer

from orchestrator.cli.failures import UsageError


def require_confirmation(question: str, *, confirmed: bool) -> None:
    """Ask a person; raises UsageError where nobody can answer, and Abort where the answer is no."""
    if confirmed:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"this needs confirmation: {question}", hint="add --yes")
    typer.confirm(question, abort=True, err=True)
