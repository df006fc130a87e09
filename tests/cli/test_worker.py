"""`worker`: a worker process, until a signal."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.cli.shell import SECONDS, Dev, Shell
from tests.cli.support import write_nodes
from tests.scale import scale

pytestmark = pytest.mark.temporal
MANY = scale(8)


@pytest.mark.slow
async def test_a_worker_serves_until_a_signal(dev: Dev, tmp_path: Path) -> None:
    other = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": "elsewhere"})
    worker = await other.begin("worker")
    say = {"id": "say", "type": "action", "action": "log.message", "config": {"message": "hello"}}
    done = await other("run", write_nodes(tmp_path, {**say, "task_queue": "elsewhere"}), "--json")
    worker.send_signal(signal.SIGINT)
    stopped = await other.end(worker)

    assert json.loads(done.out)["status"] == "completed"
    assert stopped.code == 0
    assert stopped.out == f"worker polls task queue 'elsewhere' on {dev.ready['temporal_address']}\n"


@pytest.mark.slow
@pytest.mark.parametrize("process", ["worker", "api", "server"])
async def test_a_namespace_that_does_not_exist_is_one_sentence(dev: Dev, tmp_path: Path, process: str) -> None:
    missing = {"ORCHESTRATOR_TEMPORAL_NAMESPACE": "nowhere", "ORCHESTRATOR_TEMPORAL_WAIT_SECONDS": "0"}
    shell = Shell({**dev.env, **missing, "ORCHESTRATOR_API_PORT": "0", "ORCHESTRATOR_HOME": str(tmp_path)})
    done = await shell(process)

    assert done.code == 3
    assert done.err.splitlines()[0] == "error: the Temporal server has no namespace 'nowhere'"
    assert done.out == "", "it must not say that it serves"
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.long
async def test_many_workers_start_and_stop_without_a_crash_or_a_hang(dev: Dev) -> None:
    slots = asyncio.Semaphore(3)

    async def run_one(number: int) -> int:
        shell = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": f"short-{number}"})
        async with slots:
            worker = await shell.begin("worker")
            assert worker.stdout is not None
            async with asyncio.timeout(SECONDS):
                await worker.stdout.readline()
            worker.send_signal(signal.SIGTERM)
            return (await shell.end(worker)).code

    assert await asyncio.gather(*(run_one(number) for number in range(MANY))) == [0] * MANY
