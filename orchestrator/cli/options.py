"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_run, complete_workflow

DefinitionFile = Annotated[str, typer.Argument(metavar="FILE", help="Definition file; `-` reads stdin.")]
DefinitionPaths = Annotated[
    list[str],
    typer.Argument(metavar="FILE|FOLDER", help="Definition files, or folders of them; `-` reads stdin."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Watch = Annotated[bool, typer.Option("--watch", help="Run again whenever a file changes, until Ctrl-C.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="FILE", help="Definition that `workflow` nodes call; repeatable."),
]
Input = Annotated[str | None, typer.Option("--input", metavar="JSON|@FILE", help="Input of the run.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="From this time on: RFC 3339, 2h, 7d, today or yesterday."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; shown in the run.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="ID of the run.", autocompletion=complete_run)]
WorkflowId = Annotated[
    str, typer.Argument(metavar="WORKFLOW", help="ID of the workflow.", autocompletion=complete_workflow)
]
Customer = Annotated[
    str | None,
    typer.Option("--customer", metavar="ID", help="Customer to act for, with a key to all customers."),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Maximum number of lines.")]

StrictWarnings = Annotated[bool, typer.Option("--strict", help="Refuse definitions with warnings, too.")]
