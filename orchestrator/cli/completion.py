"""Complete the names of workflows, runs and actions in a shell; silent where no API answers."""

import typer

from orchestrator.errors import OrchestratorError

MAX_NAMES = 50
TIMEOUT_SECONDS = 1.0
"""A shell is blocked meanwhile."""


def complete_workflow(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the workflows whose ID begins like this."""
    return _list_ids("/workflows", ctx, incomplete)


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the newest runs whose ID begins like this."""
    return _list_ids("/runs", ctx, incomplete)


def complete_action(incomplete: str) -> list[str]:
    """Return the actions of this environment whose name begins like this."""
    from orchestrator.cli.environment import load_actions

    try:
        return [name for name in load_actions().list_names() if name.startswith(incomplete)]
    except OrchestratorError:
        return []


def _list_ids(path: str, ctx: typer.Context, prefix: str) -> list[str]:
    from orchestrator.cli.client import ApiClient
    from orchestrator.cli.server_address import ServerOptions

    options = ServerOptions(*(ctx.params.get(name) for name in ("url", "api_key", "profile")))
    try:
        with ApiClient(options, timeout=TIMEOUT_SECONDS, max_waits=0) as client:
            found = client.list_items(path, MAX_NAMES, id_prefix=prefix or None)
    except OrchestratorError:
        return []
    return [each["id"] for each in found if each["id"].startswith(prefix)]
