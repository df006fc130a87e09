"""Look at what a move to another version would do to a run that is in progress."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from temporalio.client import Client

from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.history.histories import Histories
from orchestrator.temporal.history.migration_preview import MigrationJob, MigrationPreview, preview_migration

Preview = Callable[[str, MigrationJob], Awaitable[MigrationPreview]]
"""Looks at a move for a customer: where strangers send definitions, in a process of its own with a deadline."""


async def preview_in_thread(_: str, job: MigrationJob) -> MigrationPreview:
    """Look at a move in a thread of this process."""
    return await asyncio.to_thread(preview_migration, job)


class MigrationReader:
    """Looks at moves."""

    def __init__(self, client: Client, histories: Histories, preview: Preview = preview_in_thread) -> None:
        self.client = client
        self.histories = histories
        self.preview_migration = preview

    async def preview(self, customer_id: str, run_id: str, request: MigrationRequest) -> MigrationPreview:
        """Return what a move would do to a run; raises RunNotFound and OperationRefused."""
        async with translate_rpc_errors(run_id):
            history = await self.histories.fetch(run_id, None)
        return await self.preview_migration(customer_id, MigrationJob(run_id, history, request, datetime.now(UTC)))
