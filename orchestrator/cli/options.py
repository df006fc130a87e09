"""Options that several commands share, said once."""

from typing import Annotated

import typer

DefinitionFile = Annotated[str, typer.Argument(metavar="FILE", help="A definition; `-` reads stdin.")]
DefinitionFiles = Annotated[list[str], typer.Argument(metavar="FILE...", help="Definitions; `-` reads stdin.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="FILE", help="A definition that `workflow` nodes call; may be repeated."),
]
Input = Annotated[str | None, typer.Option("--input", metavar="JSON|@FILE", help="The run's input.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
