"""Read and operate runs; to a customer, the runs of others do not exist."""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from activities.registry import Registry
from orchestrator.errors import DefinitionInvalid, OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.model.run import Intervention, Run, RunSummary
from orchestrator.service.archiver import decompress_document
from orchestrator.service.awaited_events import AwaitedEvents, collect_awaited_events
from orchestrator.service.explanations import Explanation, explain_run
from orchestrator.service.index_writer import IndexWriter
from orchestrator.service.repair_results import require_valid_result
from orchestrator.service.step_conflicts import describe_first_operator
from orchestrator.store.archive import Archive
from orchestrator.store.run_counts import RunCounts, count_runs
from orchestrator.store.run_filter import ALL_RUNS, RunFilter
from orchestrator.store.run_index import RunIndex
from orchestrator.store.ttl_cache import TtlCache
from orchestrator.temporal.client.runs import Runs

logger = logging.getLogger(__name__)
MAX_OWNERS = 10_000
MAX_AWAITED = 1_000


@lru_cache(maxsize=1)
def _decompress(document: bytes) -> Run:
    """Return an archived document: the last one is kept, as a page reads several parts of the same run."""
    return decompress_document(document)


class Operations:
    """The runs of all customers. `None` as the customer is an administrator, who has access to all.

    Operations raise RunNotFound, and OperationRefused where the run has ended.
    """

    def __init__(
        self,
        runs: Runs,
        index: RunIndex,
        archive: Archive,
        index_writer: IndexWriter,
        registry: Registry,
        stopping: asyncio.Event,
    ) -> None:
        self.runs = runs
        self.index = index
        self.archive = archive
        self.index_writer = index_writer
        self.registry = registry
        self.stopping = stopping
        self._owners: TtlCache[str, str] = TtlCache(MAX_OWNERS)
        self._awaited: TtlCache[str, AwaitedEvents] = TtlCache(MAX_AWAITED)

    async def get_document(self, customer_id: str | None, run_id: str) -> Run:
        """Return the run document: of an ended run as it is archived, of any other as its history says.

        For a run that is in neither, what the index knows.
        """
        run = await self._read_archived(customer_id, run_id) or await self._read_document(customer_id, run_id)
        return run.model_copy(update={"reruns": await self.index.list_reruns(customer_id, run_id)})

    async def explain(self, customer_id: str | None, run_id: str) -> tuple[Run, list[Explanation]]:
        """Return a run, and what was decided in it."""
        run = await self.get_document(customer_id, run_id)
        return run, await asyncio.to_thread(explain_run, run)

    async def _read_archived(self, customer_id: str | None, run_id: str) -> Run | None:
        archived = await self.archive.get(customer_id, run_id)
        if archived is None:
            return None
        try:
            run = await asyncio.to_thread(_decompress, archived)
        except (ValueError, RecursionError, zlib.error):
            logger.exception("the archived document of run %s cannot be decoded", run_id)
            return None
        return run.model_copy(update={"links": self.runs.reader.build_links(run_id)})

    async def _read_document(self, customer_id: str | None, run_id: str) -> Run:
        try:
            await self.require(customer_id, run_id)
            return await self.runs.reader.read_document(run_id)
        except RunNotFound:
            summary = await self.index.get(customer_id, run_id)
            if summary is None:
                raise
            return Run.from_summary(summary, links={"self": f"/api/v1/runs/{run_id}"}, complete=False)

    async def is_recorded(self, customer_id: str | None, run_id: str) -> bool:
        """Return whether a run is known, although Temporal no longer stores it."""
        if await self.archive.get(customer_id, run_id) is not None:
            return True
        return await self.index.get(customer_id, run_id) is not None

    async def wait_for_end(self, run_id: str, seconds: float) -> Run | None:
        """Wait for a run's end and return its document; `None` while it is running, and when the process stops."""
        end = asyncio.create_task(self.runs.reader.wait_for_end(run_id, seconds))
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({end, stop}, return_when=asyncio.FIRST_COMPLETED)
            return end.result() if end.done() else None
        except ServerUnavailable:  # the run has started: a sender that gets an error would start another
            return None
        finally:
            end.cancel()
            stop.cancel()

    async def list_runs(
        self,
        customer_id: str | None,
        wanted: RunFilter = ALL_RUNS,
        *,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[RunSummary]:
        """List runs, the newest first; `after` is `(started_at, id)` of the last one on the page before."""
        await self.index_writer.flush()
        return await self.index.list_runs(customer_id, wanted, after=after, limit=limit)

    async def count_runs(self, customer_id: str | None, wanted: RunFilter = ALL_RUNS) -> RunCounts:
        """Count the runs that match a filter: by status, reason and workflow, and those that failed alike."""
        wanted.require_narrow(datetime.now(UTC))
        await self.index_writer.flush()
        return await count_runs(self.index.database, customer_id, wanted)

    async def require(self, customer_id: str | None, run_id: str) -> None:
        """Raise RunNotFound where a run does not exist or belongs to another customer."""
        owner = await self.find_owner(run_id)
        if customer_id not in (None, owner):
            raise RunNotFound(f"there is no run {run_id!r}")

    async def find_owner(self, run_id: str) -> str:
        """Return the customer of a run; raises RunNotFound."""

        async def load() -> str:
            return (await self.runs.visibility.read_summary(run_id)).customer_id

        return await self._owners.get(run_id, load)

    @asynccontextmanager
    async def open_operation(self, customer_id: str | None, run_id: str) -> AsyncIterator[None]:
        """Operate a run; raises OperationRefused where Temporal no longer stores it, because it ended long ago."""
        try:
            await self.require(customer_id, run_id)
            yield
        except RunNotFound:
            summary = await self.index.get(customer_id, run_id)
            if summary is None or summary.completed_at is None:
                raise
            raise OperationRefused(f"run {run_id} has already ended ({summary.status})") from None

    async def cancel(self, customer_id: str | None, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Request the cancellation of a run; `by` is who asks for it."""
        async with self.open_operation(customer_id, run_id):
            await self.runs.cancel(run_id, reason, by=by)

    async def terminate(self, customer_id: str | None, run_id: str, reason: str = "", *, by: str = "") -> None:
        """End a run at once, without compensation; `by` is who asks for it."""
        async with self.open_operation(customer_id, run_id):
            await self.runs.terminate(run_id, reason, by=by)

    async def pause(self, customer_id: str | None, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Pause a run before its next node; raises OperationRefused where it is known to be paused."""
        async with self.open_operation(customer_id, run_id):
            with contextlib.suppress(ServerUnavailable):  # a run whose history cannot be read in time can be paused
                if (await self.runs.reader.read_tree(run_id)).paused:
                    raise OperationRefused(f"run {run_id} is paused already")
            await self.runs.pause(run_id, reason, by=by)

    async def resume(self, customer_id: str | None, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Resume a paused run."""
        async with self.open_operation(customer_id, run_id):
            await self.runs.resume(run_id, reason, by=by)

    async def send_event(
        self,
        customer_id: str | None,
        run_id: str,
        name: str,
        payload: Any,
        key: str | None = None,
        *,
        event_key: str | None = None,
        by: str = "",
    ) -> None:
        """Send an event to the run's `wait` nodes, once for each key.

        Raises OperationRefused where its plan waits for no such event, and DefinitionInvalid where the payload fits
        no wait.
        """
        async with self.open_operation(customer_id, run_id):
            try:
                await self._require_awaited(run_id, name, payload)
                await self.runs.send_event(run_id, name, payload, key, event_key=event_key, by=by)
            except OperationRefused:  # sent again: it was accepted, and has perhaps ended the wait or the run
                if key is None or not await self.runs.has_event(run_id, name, key):
                    raise

    async def _require_awaited(self, run_id: str, name: str, payload: Any) -> None:
        """Raise where a run does not wait for an event, also when what it waits for is looked up again."""
        try:
            await self._require_fit(run_id, name, payload)
        except (OperationRefused, DefinitionInvalid):
            self._awaited.pop(run_id)  # the run may have moved to another version since
            await self._require_fit(run_id, name, payload)

    async def _require_fit(self, run_id: str, name: str, payload: Any) -> None:
        awaited = await self._awaited.get(run_id, partial(self._read_awaited, run_id))
        await asyncio.to_thread(awaited.require_fit, name, payload)
        if name in awaited.single:
            await self._require_open_wait(run_id, name, awaited)

    async def _require_open_wait(self, run_id: str, name: str, awaited: AwaitedEvents) -> None:
        """Raise OperationRefused where all waits for an event have ended."""
        try:
            run = await self.runs.reader.read_document(run_id)
        except ServerUnavailable:  # a run whose history cannot be read in time still takes events
            return
        answer = awaited.find_answer(name, run.steps)
        if answer is None:
            return
        output = answer.output_data if isinstance(answer.output_data, dict) else {}
        if run.completed_at is not None and "event" not in output:  # it has ended without an answer, and is refused so
            return
        what = "the wait ended"
        if "event" in output:
            sender = await self.runs.find_event_sender(run_id, output["event"], output.get("payload"))
            what = f"{output['event']!r} came first{f', from {sender.by}' if sender.by else ''}"
        moment = f"{answer.completed_at:%Y-%m-%d %H:%M:%S} UTC"
        raise OperationRefused(f"{answer.node_id!r} has been decided: {what}, at {moment}")

    async def _read_awaited(self, run_id: str) -> AwaitedEvents:
        recorded = await self.runs.reader.read_recorded_plan(run_id)
        return await asyncio.to_thread(collect_awaited_events, recorded.plan)

    async def resolve(self, customer_id: str | None, run_id: str, step: str, action: str, **resolution: Any) -> str:
        """Resolve a step that waits for an operator, by its ID or that of its node; return the step's ID."""
        async with self.open_operation(customer_id, run_id), self._name_first_operator(run_id, step):
            return await self.runs.resolve(run_id, step, action, **resolution)

    async def repair(
        self, customer_id: str | None, run_id: str, request: Mapping[str, Any], *, by: str = ""
    ) -> Intervention:
        """Repair a run that is paused or waits; return what it records of it.

        Raises DefinitionInvalid where an action is given a result that it does not return.
        """
        step, path = request.get("step_id") or request.get("node_id") or "", request.get("path")
        async with self.open_operation(customer_id, run_id), self._name_first_operator(run_id, step, path):
            if request["kind"] == "set_result":
                recorded = await self.runs.reader.read_recorded_plan(run_id)
                node_id = await self._find_node_id(run_id, request)
                result = request.get("result")
                await asyncio.to_thread(require_valid_result, recorded.plan, self.registry, node_id, result)
            return Intervention.model_validate(await self.runs.repair(run_id, request, by=by))

    @asynccontextmanager
    async def _name_first_operator(self, run_id: str, step: str, path: str | None = None) -> AsyncIterator[None]:
        """Add to a refusal who has decided on the step before, if an operator has."""
        try:
            yield
        except OperationRefused as error:
            try:
                run = await self.runs.reader.read_document(run_id)
            except ServerUnavailable:  # the refusal alone is the answer
                raise error from None
            first = describe_first_operator(run, step, path)
            if not first:
                raise
            raise OperationRefused(f"{error.message}; {first}", hint=error.hint) from error

    async def _find_node_id(self, run_id: str, request: Mapping[str, Any]) -> str | None:
        """Return the node that a repair names, by itself or by a step: a moved run may have renamed that of a step."""
        step_id = request.get("step_id")
        if not step_id:
            return request.get("node_id")
        try:
            steps = (await self.runs.reader.read_document(run_id)).steps
        except ServerUnavailable:  # the step has most likely the name of its node
            steps = []
        step = next((each for each in steps if each.id == step_id), None)
        return str(step_id).rpartition("/")[2].partition("#")[0] if step is None else step.node_id
