"""The archive holds the documents of ended runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from orchestrator.model.run import RunSummary, Status
from orchestrator.model.usage import Usage, UsageSum
from orchestrator.store.archive import Archive, ArchivedRun, Backlog
from orchestrator.store.database import Database
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import workflows
from orchestrator.store.usage import sum_usage
from orchestrator.store.workflows import Definitions

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def make_run(run_id: str, minutes: int, status: Status = "completed") -> RunSummary:
    """Return a run that ended, or began to run, some minutes after noon."""
    moment = NOW + timedelta(minutes=minutes)
    ended = None if status == "running" else moment
    return RunSummary(
        id=run_id,
        workflow_id="w",
        workflow_version=1,
        customer_id="acme",
        status=status,
        started_at=moment,
        completed_at=ended,
    )


def make_document(run: RunSummary, document: bytes = b"document") -> ArchivedRun:
    assert run.completed_at is not None
    return ArchivedRun(run.id, run.customer_id, run.completed_at, document)


RUNS = [make_run("second", 2), make_run("first", 1), make_run("running", 0, "running"), make_run("third", 3, "failed")]


@pytest.fixture
async def archive(database: Database) -> Archive:
    await RunIndex(database).put(RUNS)
    return Archive(database)


async def list_pending(archive: Archive, limit: int = 10, *skipped: str) -> list[str]:
    return [run.run_id for run in await archive.list_pending(limit, skipped)]


async def test_ended_runs_are_pending_until_they_are_archived_or_lost(archive: Archive) -> None:
    assert await list_pending(archive) == ["first", "second", "third"]
    assert await list_pending(archive, 1) == ["first"]
    assert await list_pending(archive, 10, "first") == ["second", "third"]
    assert await archive.read_backlog() == Backlog(3, NOW + timedelta(minutes=1))

    await archive.put([make_document(RUNS[1])])
    await archive.mark_lost(["third"])

    assert await list_pending(archive) == ["second"]
    assert await archive.read_backlog() == Backlog(1, NOW + timedelta(minutes=2))


async def test_what_runs_have_used_is_summed_by_workflow_and_version(archive: Archive) -> None:
    await Definitions(archive.database).create("acme", "w", {"name": "w"}, "me")
    async with archive.database.write_transaction() as connection:
        await connection.execute(update(workflows).values(created_at=NOW))
    whole = Usage(executions=2, events=40, bytes=2**40, steps=3, worker_seconds=1.5, complete=True)
    first, second = (make_document(run) for run in RUNS[:2])
    none = UsageSum(runs=0, executions=0, events=0, bytes=0, steps=0, worker_seconds=0, complete=True)

    assert await sum_usage(archive.database, "acme", "w") == none

    await archive.put([replace(first, usage=whole), replace(second, usage=whole), make_document(RUNS[3])])

    total = UsageSum(runs=2, executions=4, events=80, bytes=2**41, steps=6, worker_seconds=3, complete=True)
    assert await sum_usage(archive.database, "acme", "w") == total
    assert await sum_usage(archive.database, "acme", "w", 1) == total
    assert await sum_usage(archive.database, "acme", "w", 2) == none
    assert await sum_usage(archive.database, "other", "w") == none

    await archive.put([replace(make_document(RUNS[3]), usage=whole.model_copy(update={"complete": False}))])

    assert (await sum_usage(archive.database, "acme", "w")).complete is False


async def test_the_index_does_not_make_an_archived_run_pending_again(archive: Archive) -> None:
    await archive.put([make_document(run) for run in RUNS if run.completed_at])
    await RunIndex(archive.database).put(RUNS)

    assert await list_pending(archive) == []
    assert await archive.read_backlog() == Backlog(0, None)


async def test_a_document_is_that_of_its_customer_and_never_changes(archive: Archive) -> None:
    await archive.put([make_document(RUNS[0], b"\x00\xff")])
    await archive.put([make_document(RUNS[0], b"other"), make_document(RUNS[1])])

    assert await archive.get("acme", "second") == b"\x00\xff"
    assert await archive.get(None, "second") == b"\x00\xff"
    assert await archive.get("other", "second") is None
    assert await archive.get("acme", "third") is None


async def test_documents_are_pruned_by_the_ends_of_their_runs(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.archive.PRUNED_AT_ONCE", 1)
    await archive.put([make_document(run) for run in RUNS if run.completed_at])

    assert await archive.prune(NOW + timedelta(minutes=3)) == 2
    assert await archive.get("acme", "second") is None
    assert await archive.get("acme", "third") is not None
    assert await list_pending(archive) == []
