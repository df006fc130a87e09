"""The run index: writes, filters, pages and statistics."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from orchestrator.model.run import RunSummary
from orchestrator.store.database import Database
from orchestrator.store.deliveries import ACCEPTED, Deliveries, Delivery, Start
from orchestrator.store.run_filter import FilterTooWide, RunFilter
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import workflows
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.payloads import shorten_id

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def index(database: Database) -> RunIndex:
    return RunIndex(database)


def make_run(name: str, took: int | None = None, at: int = 0, **more: Any) -> RunSummary:
    started = NOW + timedelta(seconds=at)
    ended = None if took is None else started + timedelta(milliseconds=took)
    values = {"workflow_id": "w", "workflow_version": 1, "customer_id": "acme", "status": "running"} | more
    if took is not None and "status" not in more:
        values["status"] = "completed"
    return RunSummary(id=name, started_at=started, completed_at=ended, duration_ms=took, **values)


async def test_the_end_of_a_run_is_never_overwritten(index: RunIndex) -> None:
    await index.put([make_run("a")])
    await index.put([make_run("a", 50), make_run("b")])
    await index.put([make_run("a"), make_run("a", 99, status="failed")])

    assert await index.get(None, "a") == make_run("a", 50)
    assert await index.get(None, "b") == make_run("b")
    assert await index.get(None, "none") is None
    await index.put([])


async def test_runs_of_a_schedule_are_listed_by_fire_time(index: RunIndex) -> None:
    times = [f"2026-05-0{day}T0{hour}:00:00Z" for day in (1, 2) for hour in (1, 2, 9)]
    await index.put(make_run(f"w-{time}") for time in times)
    await index.put(
        [make_run(f"w-{times[1]}/called"), make_run(f"v-{times[1]}"), make_run("w-other", customer_id="another")]
    )

    found = await index.list_ids_between("acme", f"w-{times[1]}", f"w-{times[4]}")

    assert sorted(found) == [f"w-{time}" for time in times[1:5]]
    assert await index.list_ids_between("another", f"w-{times[0]}", f"w-{times[5]}") == []


async def test_a_run_may_occur_in_a_batch_several_times(index: RunIndex) -> None:
    await index.put(
        [make_run("b"), make_run("a"), make_run("a", 50), make_run("a"), make_run("a", 99, status="failed")]
    )

    assert [await index.get(None, "a"), await index.get(None, "b")] == [make_run("a", 50), make_run("b")]


async def test_the_longest_run_id_is_stored(index: RunIndex, database: Database) -> None:
    name = shorten_id("/".join(["step[999]"] * 100))
    start = Start("w", 1, name)
    accepted = Delivery("d", "acme", "event", "e", None, ACCEPTED, {}, NOW, starts=(start,))

    await index.put([make_run(name), make_run("short")])
    await Deliveries(database).accept(accepted, None)

    assert await index.get(None, name) == make_run(name)
    assert [each.run_id for each in (await Deliveries(database).get("acme", "d")).starts] == [name]


async def test_open_runs_are_listed_oldest_first(index: RunIndex) -> None:
    await index.put([make_run(f"r{number}", at=number // 2) for number in range(7)] + [make_run("ended", 5)])

    seen: list[RunSummary] = []
    while page := await index.list_open(
        NOW + timedelta(seconds=3), (seen[-1].started_at, seen[-1].id) if seen else (), limit=4
    ):
        seen += page

    assert [each.id for each in seen] == [f"r{number}" for number in range(6)], "r6 starts at exactly that time"


async def test_runs_are_filtered_by_their_attributes(index: RunIndex) -> None:
    await index.put(
        [
            make_run("a", 5, at=1),
            make_run("b", at=2, trigger_type="event"),
            make_run("c", 5, at=3, status="failed", workflow_id="other"),
            make_run("d", at=4, customer_id="third"),
        ]
    )

    async def list_ids(customer: str | None = "acme", **wanted: Any) -> list[str]:
        return [each.id for each in await index.list_runs(customer, RunFilter(**wanted))]

    assert await list_ids() == ["c", "b", "a"]
    assert await list_ids(None) == ["d", "c", "b", "a"]
    assert await list_ids(statuses=("running",)) == ["b"]
    assert await list_ids(trigger_type="event") == ["b"]
    assert await list_ids(workflow_id="other", statuses=("failed",)) == ["c"]
    assert await list_ids(since=NOW + timedelta(seconds=2), until=NOW + timedelta(seconds=3)) == ["b"]
    assert [each.id for each in await index.list_open(NOW + timedelta(minutes=1), (), 10)] == ["b", "d"]


FAILED = {"status": "failed", "error_type": "action_error", "node_id": "pay"}
FILTERED = [
    make_run("failed", 5, at=1, error="Card 17 was DECLINED", **FAILED),
    make_run("other", 5, at=2, error="100% declined", workflow_id="v", **FAILED),
    make_run("sleeps", at=3, status="waiting", reason="delay", node_id="pause", keys={"order": "7", "shop": "a=b"}),
    make_run("asks", at=4, status="waiting", reason="operator", node_id="pay", keys={"order": "8"}),
    make_run("called", at=5, status="pending", reason="no_worker", parent_run_id="asks"),
    make_run("again", 9_000, at=6, rerun_of="failed"),
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"statuses": ("waiting", "pending")}, ["called", "asks", "sleeps"]),
        ({"reason": "operator"}, ["asks"]),
        ({"reason": "no_worker", "statuses": ("pending",)}, ["called"]),
        ({"node_id": "pay"}, ["asks", "other", "failed"]),
        ({"error_type": "action_error"}, ["other", "failed"]),
        ({"error": "declined", "workflow_id": "w"}, ["failed"]),
        ({"error": "0% D", "since": NOW, "until": NOW + timedelta(days=31)}, ["other"]),
        ({"parent_run_id": "asks"}, ["called"]),
        ({"rerun_of": "failed"}, ["again"]),
        ({"rerun": True}, ["failed"]),
        ({"rerun": False, "statuses": ("failed",)}, ["other"]),
        ({"keys": (("order", "7"),)}, ["sleeps"]),
        ({"keys": (("order", "7"), ("shop", "a=b"))}, ["sleeps"]),
        ({"keys": (("order", "7"), ("shop", "a"))}, []),
        ({"ended_since": NOW + timedelta(seconds=10)}, ["again"]),
        ({"ended_until": NOW + timedelta(seconds=10)}, ["other", "failed"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
async def test_runs_are_filtered_by_what_they_wait_for_and_how_they_failed(
    index: RunIndex, wanted: dict[str, Any], expected: list[str]
) -> None:
    await index.put(FILTERED)

    assert [each.id for each in await index.list_runs("acme", RunFilter(**wanted))] == expected
    assert await index.list_runs("third", RunFilter(**wanted)) == []


async def test_a_run_that_is_written_after_its_rerun_has_been_rerun(index: RunIndex) -> None:
    """An index that is filled again from Temporal begins with the newest runs."""
    await index.put([make_run("again", 9, at=6, rerun_of="failed")])
    await index.put([make_run("failed", 5, at=1, error="no", **FAILED)])
    await index.put([make_run("again", 9, at=6, rerun_of="failed")])

    assert [each.id for each in await index.list_runs("acme", RunFilter(rerun=True))] == ["failed"]
    assert [each.id for each in await index.list_runs("acme", RunFilter(rerun=False))] == ["again"]


async def test_the_text_of_all_errors_is_not_searched(index: RunIndex) -> None:
    for times in ({}, {"since": NOW, "until": NOW + timedelta(days=32)}, {"until": NOW}):
        with pytest.raises(FilterTooWide, match="one workflow or in a short time"):
            await index.list_runs("acme", RunFilter(error="declined", **times))


async def test_rows_are_stored_whole(index: RunIndex, database: Database) -> None:
    waits = [{"node_id": "pause", "step_id": "pause", "kind": "delay", "until": "2026-05-02T00:00:00Z"}]
    run = make_run("a", status="waiting", reason="delay", node_id="pause", waiting_for=waits, keys={"order": "7"},
                   workflow_name="Orders", parent_run_id="b", as_of=NOW)  # fmt: skip
    await store_workflow(database, "v")
    await index.put([run, make_run("nameless", workflow_id="v")])

    assert await index.get("acme", "a") == run
    nameless = await index.get("acme", "nameless")
    assert nameless is not None
    assert nameless.workflow_name == "v", "the name of the workflow today"


async def test_an_older_state_does_not_overwrite_a_newer_one(index: RunIndex) -> None:
    """The start of a run is written a second after it, when the run may wait already."""
    waiting = make_run("a", status="waiting", reason="event", as_of=NOW + timedelta(seconds=1))
    await index.put([waiting])
    await index.put([make_run("a", as_of=NOW, workflow_name="Orders")])
    assert await index.get(None, "a") == waiting

    await index.put([make_run("a", as_of=NOW + timedelta(seconds=2))])
    running = await index.get(None, "a")
    await index.put([make_run("a", 50, as_of=NOW)])
    ended = await index.get(None, "a")

    assert running is not None
    assert ended is not None
    assert (running.status, running.reason) == ("running", None)
    assert (ended.status, ended.as_of) == ("completed", NOW), "the end counts, whatever the clock says"


async def test_the_case_of_the_beginning_of_an_id_counts(index: RunIndex) -> None:
    await index.put(make_run(name, at=at) for at, name in enumerate(("ab1", "ab2", "a%1", "é1", "Ab1", "Ab2")))

    async def list_ids(prefix: str) -> list[str]:
        return [each.id for each in await index.list_runs("acme", RunFilter(id_prefix=prefix), limit=2)]

    assert await list_ids("ab") == ["ab2", "ab1"]
    assert await list_ids("Ab1") == ["Ab1"]
    assert await list_ids("a%") == ["a%1"]
    assert await list_ids("é") == ["é1"]
    assert await list_ids("aB") == []


async def test_pages_list_everything_once(index: RunIndex) -> None:
    await index.put(make_run(f"r{number}", at=number // 3) for number in range(1200))

    seen: list[RunSummary] = []
    while page := await index.list_runs("acme", after=(seen[-1].started_at, seen[-1].id) if seen else (), limit=500):
        seen += page

    assert len({each.id for each in seen}) == len(seen) == 1200
    assert seen == sorted(seen, key=lambda each: (each.started_at, each.id), reverse=True)


async def store_workflow(database: Database, name: str, customer: str = "acme", created_at: datetime = NOW) -> None:
    """Store a workflow with a creation time."""
    await Definitions(database).create(customer, name, {"name": name}, "me")
    async with database.write_transaction() as connection:
        same = (workflows.c.customer_id == customer, workflows.c.id == name)
        await connection.execute(update(workflows).where(*same).values(created_at=created_at))


@pytest.fixture
async def filled_index(index: RunIndex, database: Database) -> RunIndex:
    """An index of 104 runs of version 1 of `w`, one of version 2, and one of another customer."""
    await store_workflow(database, "w")
    await store_workflow(database, "w", "other")
    runs = [make_run(f"r{took}", took, at=took) for took in range(1, 101)]
    runs += [make_run("f", 7, status="failed"), make_run("x", 7, status="cancelled"), make_run("now", at=500)]
    runs += [make_run("v2", 1000, workflow_version=2), make_run("other", 9, customer_id="other")]
    await index.put(runs)
    return index


async def test_runs_are_counted_by_workflow_and_status(filled_index: RunIndex) -> None:
    counts = (await filled_index.count_runs("acme", ["w", "none"]))["w"]

    assert (counts.total, counts.count("completed"), counts.count("failed"), counts.count("running")) == (
        104,
        101,
        1,
        1,
    )
    assert counts.success_rate == round(100 * 101 / 102, 2)
    assert counts.last_run_at == NOW + timedelta(seconds=500)
    assert await filled_index.count_runs("acme", []) == {}


async def test_runs_are_counted_by_version(filled_index: RunIndex) -> None:
    assert (await filled_index.count_runs("acme", ["w"], version=2))["w"].total == 1


async def test_percentiles_are_of_one_workflow_and_version(filled_index: RunIndex) -> None:
    assert await filled_index.compute_percentiles("acme", "w", 1) == {"p50_ms": 50, "p95_ms": 95}
    assert await filled_index.compute_percentiles("acme", "w", 2) == {"p50_ms": 1000, "p95_ms": 1000}
    assert await filled_index.compute_percentiles("acme", "none") == {"p50_ms": None, "p95_ms": None}


async def test_statistics_leave_out_drafts_and_a_deleted_workflow_with_the_same_id(
    index: RunIndex, database: Database
) -> None:
    await store_workflow(database, "w", created_at=NOW + timedelta(seconds=10))
    await index.put(
        [make_run("before", 5), make_run("try", 5, at=20, workflow_version=0), make_run("counts", 7, at=20)]
    )

    assert (await index.count_runs("acme", ["w"]))["w"].total == 1
    assert await index.compute_percentiles("acme", "w") == {"p50_ms": 7, "p95_ms": 7}


async def test_a_run_that_cannot_be_stored_does_not_block_others(index: RunIndex) -> None:
    month = 30 * 24 * 3600 * 1000
    await index.put(
        [make_run("a", 5), make_run("long", month), make_run("worse", workflow_version=2**40), make_run("z", 5)]
    )

    found = {each.id: each.duration_ms for each in await index.list_runs("acme") if each.id != "worse"}
    assert found == {"a": 5, "long": month, "z": 5}


async def test_the_start_time_of_temporal_overwrites_the_recorded_one(index: RunIndex) -> None:
    await index.put([make_run("a", at=3)])
    await index.put([make_run("a", 1000)])

    assert await index.get(None, "a") == make_run("a", 1000)


async def test_a_run_that_temporal_no_longer_knows_is_recorded_as_ended(index: RunIndex) -> None:
    await index.put([make_run("gone"), make_run("ended", 5)])

    await index.mark_lost(["gone", "ended"])

    gone, ended = await index.get(None, "gone"), await index.get(None, "ended")
    assert gone is not None
    assert (gone.status, gone.duration_ms, gone.completed_at is not None) == ("cancelled", None, True)
    assert ended == make_run("ended", 5)


async def test_nul_characters_are_replaced(index: RunIndex) -> None:
    """PostgreSQL refuses them: the row was skipped, and the run stayed open in lists."""
    waits = [{"event": "a\0", "key": ["\0"]}]
    texts = {"error": "\0no", "cancel_reason": "b\0c", "node_id": "n\0", "workflow_name": "w\0"}
    await index.put([make_run("a")])
    await index.put([make_run("a", 5, status="failed", keys={"or\0der": "7\0"}, waiting_for=waits, **texts)])

    row = await index.get(None, "a")
    found = await index.list_runs("acme", RunFilter(keys=(("or\ufffdder", "7\ufffd"),)))

    assert row is not None
    assert {name: getattr(row, name) for name in texts} == {
        name: text.replace("\0", "\ufffd") for name, text in texts.items()
    }
    assert (row.status, row.waiting_for) == ("failed", [{"event": "a\ufffd", "key": ["\ufffd"]}])
    assert [each.id for each in found] == ["a"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RunFilter(reason="operator"), "ix_runs_with_reason_"),
        (RunFilter(node_id="pay"), "ix_runs_with_node_id_"),
        (RunFilter(error_type="timeout_error"), "ix_runs_with_error_type_"),
        (RunFilter(error="refused", workflow_id="w"), "ix_runs_with_error_workflow_id_"),
        (RunFilter(workflow_id="w"), "ix_runs_workflow_id_started_at_id"),
        (RunFilter(trigger_type="webhook"), "ix_runs_trigger_type_started_at_id"),
        (RunFilter(rerun=True), "ix_runs_with_has_rerun_started_at_id"),
        (RunFilter(keys=(("order", "7"),)), "ix_run_keys_name_value_customer_id"),
    ],
    ids=["reason", "node", "error type", "error text", "workflow", "trigger", "rerun", "key"],
)
async def test_a_list_of_all_customers_uses_an_index(index: RunIndex, wanted: RunFilter, expected: str) -> None:
    """It searched a million runs from the newest on."""
    if index.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the number of rows: see the benchmark of lists")
    async with index.database.read_transaction() as connection:
        query = index.build_list_query(None, wanted)
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        plan = [str(row[-1]) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

    assert any(expected in line for line in plan), plan
