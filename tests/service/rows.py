"""Rows of the index of runs, as lists show them."""

from orchestrator.model.run import RunSummary
from orchestrator.service.services import Services
from tests.temporal.world import wait_until


async def wait_for_row(services: Services, run_id: str, status: str, reason: str = "", node: str = "") -> RunSummary:
    """Wait for the row to have a status, and a reason and a node where these are given: they may follow later."""

    async def find() -> RunSummary | None:
        row = await services.operations.index.get(None, run_id)
        if row is None or row.status != status:
            return None
        return row if reason in ("", row.reason) and node in ("", row.node_id) else None

    found: RunSummary = await wait_until(find)
    return found
