"""What the commands that operate one run share."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient


def operate(client: "ApiClient", run_id: str | None, operation: str, request: Any = None) -> Any:
    """Send an operation to a run."""
    from orchestrator.cli.client import quote_id

    return client.post(f"/runs/{quote_id(run_id or '')}/{operation}", request)


def name_step(name: str) -> dict[str, str]:
    """Return how the API names a step: by its ID where that says which one it is, else by that of its node."""
    return {"step_id": name} if "/" in name or "#" in name else {"node_id": name}
