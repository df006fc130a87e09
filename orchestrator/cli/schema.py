"""`schema`: print what editors and other services read: the schema of definitions, and the descriptions of actions."""

from typing import Annotated

import typer

from orchestrator.cli.output import print_json


def schema(
    actions: Annotated[
        bool,
        typer.Option(
            "--actions",
            help="Describe the actions of ORCHESTRATOR_ACTION_MODULES and of installed packages instead, for "
            "ORCHESTRATOR_ACTION_SCHEMAS of services that do not have them.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of definitions and actions, for editors.

    Own actions are in it, with their parameters.
    """
    from activities import load_builtin_registry
    from orchestrator.cli.environment import load_actions
    from orchestrator.planner.editor_schema import build_editor_schema

    if not actions:
        print_json(build_editor_schema(load_actions().describe()))
        return
    builtin = load_builtin_registry().list_names()
    print_json([each for each in load_actions().describe() if each["name"] not in builtin])
