"""Options that several commands share."""

from typing import Annotated

import typer

DefinitionFile = Annotated[str, typer.Argument(metavar="FILE", help="Definition file; `-` reads stdin.")]
DefinitionFiles = Annotated[list[str], typer.Argument(metavar="FILE...", help="Definition files; `-` reads stdin.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="FILE", help="Definition that `workflow` nodes call; repeatable."),
]
Input = Annotated[str | None, typer.Option("--input", metavar="JSON|@FILE", help="Input of the run.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="ID of the run.")]
