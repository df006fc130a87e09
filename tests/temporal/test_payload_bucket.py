"""A bucket of S3 may be away for a while, and one that cannot be used is named as soon as a process starts."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from orchestrator.temporal.client.connection import read_namespace_id, wait_and_connect
from orchestrator.temporal.devserver import DevServer
from orchestrator.temporal.payload_store import bucket
from orchestrator.temporal.payload_store.bucket import Bucket
from orchestrator.temporal.payload_store.driver import open_objects
from orchestrator.temporal.payload_store.objects import PayloadUnavailable, StoreRejected, build_key, build_mark
from tests.proxy import ClosingProxy, run_proxy
from tests.s3 import create_bucket, run_s3_server, set_variables
from tests.temporal.world import World, make_plan, open_world, wait_until

pytestmark = pytest.mark.slow

TEXT = "x" * 100_000
MANY = 1_001
"""S3 lists and removes 1,000 objects with one request."""
TOO_OFTEN = 12
"""The library sends a failed request again 10 times by itself, in 2 to 3 seconds."""


@pytest.mark.long
def test_more_objects_than_fit_a_page_are_listed_and_removed(s3_bucket: str) -> None:
    objects = Bucket(f"{s3_bucket}/many")
    of_one = [build_key("n", "a", str(number).encode()) for number in range(MANY)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: objects.write(key, b""), of_one))
        list(threads.map(lambda number: objects.write(build_key("n", f"b-{number}", b""), b""), range(MANY)))

    assert sorted(each.key for each in objects.list_of("n", "a")) == sorted(of_one)
    assert len(list(objects.list_owners("n"))) == 1 + MANY

    objects.remove(of_one)

    assert objects.list_of("n", "a") == []
    assert len(list(objects.list_owners("n"))) == MANY


def test_a_prefix_may_have_odd_characters(s3_bucket: str) -> None:
    objects = Bucket(f"{s3_bucket}/Größe & co/%41")
    key = build_key("n", "a b/c=%2F~ä", b"content")
    objects.write(key, b"content")

    assert objects.read(key) == b"content"
    assert [each.key for name in objects.list_owners("n") for each in objects.list_of("n", name)] == [key]


def test_every_request_to_a_missing_bucket_says_so(s3_bucket: str) -> None:
    objects = Bucket("s3://nowhere")
    for request in (
        lambda: objects.write("n/a/0", b"x"),
        lambda: objects.read("n/a/0"),
        lambda: list(objects.list_owners("n")),
        lambda: objects.list_of("n", "a"),
        lambda: objects.remove(["n/a/0"]),
    ):
        with pytest.raises(
            PayloadUnavailable, match=r"s3://nowhere: NoSuchBucket: The specified bucket does not exist$"
        ):
            request()


@pytest.mark.temporal
async def test_a_process_does_not_start_with_a_missing_bucket(world: World, s3_bucket: str) -> None:
    update = {"payload_store": "s3://nowhere", "temporal_wait_seconds": 600}

    with pytest.raises(StoreRejected, match="cannot be written to s3://nowhere: NoSuchBucket"):
        await wait_and_connect(world.runs.settings.model_copy(update=update))


@pytest.mark.temporal
async def test_a_process_does_not_start_where_the_bucket_denies_access(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.runs.settings.model_copy(update={"payload_store": "s3://denied", "temporal_wait_seconds": 600})
    with run_s3_server(INITIAL_NO_AUTH_ACTION_COUNT="1") as url:
        create_bucket(url, "denied")
        set_variables(monkeypatch, url)

        with pytest.raises(StoreRejected, match=r"cannot be written to s3://denied: .*does not exist in our records"):
            await wait_and_connect(settings)


@asynccontextmanager
async def open_proxy(server_url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[ClosingProxy]:
    """Run a proxy to the S3 server; the variables of the AWS tools name the proxy."""
    async with run_proxy(ClosingProxy(int(server_url.rpartition(":")[2]))) as proxy:
        set_variables(patch, f"http://127.0.0.1:{proxy.port}")
        yield proxy


async def wait_for_refusals(proxy: ClosingProxy, count: int) -> None:
    async def are_refused() -> bool:
        return proxy.refused >= count

    await wait_until(are_refused)


@pytest.mark.temporal
async def test_a_process_waits_for_its_bucket_and_marks_it(
    world: World, s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.runs.settings.model_copy(update={"payload_store": f"{s3_bucket}/late"})
    async with open_proxy(s3_server, monkeypatch) as proxy:
        proxy.take_away()
        starting = asyncio.create_task(wait_and_connect(settings))
        await wait_for_refusals(proxy, 2)
        proxy.is_away = False
        client = await starting
        identity = (await read_namespace_id(client)).encode()
        mark = build_mark("default", identity)

        assert await asyncio.to_thread(open_objects(str(settings.payload_store)).read, mark) == identity


async def test_requests_outlast_a_bucket_that_is_away(
    s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_proxy(s3_server, monkeypatch) as proxy:
        objects = Bucket(s3_bucket)
        await asyncio.to_thread(objects.write, "n/a/0", b"before")
        proxy.take_away()
        writing = asyncio.create_task(asyncio.to_thread(objects.write, "n/a/1", b"x"))
        reading = asyncio.create_task(asyncio.to_thread(objects.read, "n/a/0"))
        await wait_for_refusals(proxy, 2 * TOO_OFTEN)
        proxy.is_away = False
        await writing

        assert await reading == b"before"
        assert await asyncio.to_thread(objects.read, "n/a/1") == b"x"


@pytest.mark.temporal
async def test_no_action_is_called_again_because_the_bucket_was_away_for_its_result(
    server: DevServer, s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        "ask": {"type": "wait", "config": {"event": "go"}},
        "one": {"type": "action", "action": "work"},
        "end": {"type": "end", "config": {"output": "{{ steps.one.output }}"}},
    }
    async with (
        open_proxy(s3_server, monkeypatch) as proxy,
        open_world(server, queue="away", payload_store=f"{s3_bucket}/away") as away,
    ):
        customer, script = away.script({"work": {"output": {"text": TEXT}}})
        plan = make_plan(nodes, "trigger -> ask", "ask -> one", "one -> end", customer=customer)
        run_id = await away.start(plan)
        await away.wait_for_waiting(run_id, "event")
        proxy.take_away()
        await away.runs.send_event(run_id, "go", {}, key="one")
        await wait_for_refusals(proxy, TOO_OFTEN)
        proxy.is_away = False
        run = await away.wait_for_end(run_id)

    assert (run.status, run.output) == ("completed", {"text": TEXT})
    assert [call["attempt"] for call in script.calls] == [1]


async def test_requests_to_a_bucket_that_stays_away_end(
    s3_server: str, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_proxy(s3_server, monkeypatch) as proxy:
        objects = Bucket(s3_bucket, {**bucket.RETRIES, "retry_timeout": timedelta(seconds=1)})
        proxy.take_away()

        with pytest.raises(PayloadUnavailable, match="cannot be written"):
            await asyncio.to_thread(objects.write, "n/a/0", b"x")
