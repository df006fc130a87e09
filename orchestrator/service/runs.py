"""See and operate runs, each customer its own: others' do not exist."""

from collections import OrderedDict
from typing import Any

from orchestrator.errors import RunNotFound
from orchestrator.model.run import Run
from orchestrator.store.run_index import RunIndex
from orchestrator.temporal.client.runs import Runs

OWNERS_KEPT = 10_000


class Operations:
    """The runs of all customers; every operation names who asks (`None`: an administrator)."""

    def __init__(self, runs: Runs, index: RunIndex) -> None:
        self.runs = runs
        self.index = index
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def get_document(self, customer_id: str | None, run_id: str) -> Run:
        """Give the run document; of a run that Temporal has forgotten, what the index knows."""
        try:
            await self.require(customer_id, run_id)
            run = await self.runs.reader.read_document(run_id)
        except RunNotFound:
            summary = await self.index.get(customer_id, run_id)
            if summary is None:
                raise
            run = Run.from_summary(summary, links={"self": f"/api/v1/runs/{run_id}"})
        return run.model_copy(update={"retried_by": await self.index.list_reruns(customer_id, run_id)})

    async def require(self, customer_id: str | None, run_id: str) -> None:
        """Raise RunNotFound where a run is not there, or another customer's."""
        owner = self._owners.get(run_id)
        if owner is None:
            owner = (await self.runs.visibility.read_summary(run_id)).customer_id
            self._owners[run_id] = owner
            if len(self._owners) > OWNERS_KEPT:
                self._owners.popitem(last=False)
        if customer_id not in (None, owner):
            raise RunNotFound(f"there is no run {run_id!r}")

    async def cancel(self, customer_id: str | None, run_id: str) -> None:
        """Ask a run to end; raises RunNotFound and OperationRefused, as those below do."""
        await self.require(customer_id, run_id)
        await self.runs.cancel(run_id)

    async def terminate(self, customer_id: str | None, run_id: str, reason: str) -> None:
        """End a run at once."""
        await self.require(customer_id, run_id)
        await self.runs.terminate(run_id, reason)

    async def pause(self, customer_id: str | None, run_id: str) -> None:
        """Hold a run at its next node."""
        await self.require(customer_id, run_id)
        await self.runs.pause(run_id)

    async def resume(self, customer_id: str | None, run_id: str) -> None:
        """Let a paused run go on."""
        await self.require(customer_id, run_id)
        await self.runs.resume(run_id)

    async def send_event(
        self, customer_id: str | None, run_id: str, name: str, payload: Any, key: str | None = None
    ) -> None:
        """Send an event to the run's `wait` nodes, once for each key."""
        await self.require(customer_id, run_id)
        await self.runs.send_event(run_id, name, payload, key)

    async def resolve(self, customer_id: str | None, run_id: str, node_id: str, action: str, **resolution: Any) -> str:
        """Give an operator's word on a step that waits for one; give the step's id."""
        await self.require(customer_id, run_id)
        return await self.runs.resolve(run_id, node_id, action, **resolution)
