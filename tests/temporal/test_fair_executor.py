"""A worker executes the runs of one customer one at a time, and lets none of another customer wait for them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from orchestrator.temporal.fair_executor import FairExecutor

SECONDS = 60


@pytest.fixture
def executor() -> Iterator[FairExecutor]:
    executor = FairExecutor(threads=2)
    yield executor
    executor.shutdown()


def begin(run_id: str, customer: str) -> WorkflowActivation:
    """Return the first activation of a run; only this one names the customer."""
    activation = WorkflowActivation(run_id=run_id)
    activation.jobs.add().initialize_workflow.priority.fairness_key = customer
    return activation


class Log:
    """Names of activations in the order in which they are executed; some wait until they are released."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.released = threading.Event()
        self.reached = threading.Event()

    def hold(self, name: str) -> Callable[[WorkflowActivation], None]:
        def work(_: WorkflowActivation) -> None:
            self.names.append(name)
            self.reached.set()
            assert self.released.wait(SECONDS)

        return work

    def note(self, name: str) -> Callable[[WorkflowActivation], None]:
        return lambda _: self.names.append(name)


def wait_for(futures: "list[Future[None]]") -> None:
    for future in futures:
        future.result(SECONDS)


def test_a_customer_does_not_wait_for_the_many_runs_of_another(executor: FairExecutor) -> None:
    log = Log()
    noisy = [executor.submit(log.hold(f"a{number}"), begin(f"a{number}", "a")) for number in range(10)]
    executor.submit(log.note("b0"), begin("b0", "b")).result(SECONDS)
    executor.submit(log.note("b0 again"), WorkflowActivation(run_id="b0")).result(SECONDS)
    assert log.reached.wait(SECONDS)

    assert sorted(log.names) == ["a0", "b0", "b0 again"], "one run of the noisy customer is executed, the others wait"

    log.released.set()
    wait_for(noisy)
    assert [name for name in log.names if name.startswith("a")] == [f"a{number}" for number in range(10)]


def test_customers_take_turns_where_there_are_too_few_threads() -> None:
    executor, log = FairExecutor(threads=1), Log()
    first = executor.submit(log.hold("first"), begin("x", "a"))
    assert log.reached.wait(SECONDS)
    rest = [executor.submit(log.note(f"{name}{n}"), begin(f"{name}{n}", name)) for name in "ab" for n in range(3)]
    log.released.set()
    wait_for([first, *rest])
    executor.shutdown()

    assert log.names == ["first", "b0", "a0", "b1", "a1", "b2", "a2"]


def test_replays_come_first(executor: FairExecutor) -> None:
    # A replay of many activations would otherwise wait for all others before each, and its task would be thrown away.
    log = Log()
    held = executor.submit(log.hold("held"), begin("x", "a"))
    assert log.reached.wait(SECONDS)
    rest = [executor.submit(log.note(f"a{n}"), begin(f"a{n}", "a")) for n in range(2)]
    replay = begin("r", "a")
    replay.is_replaying = True
    rest.append(executor.submit(log.note("replay"), replay))
    log.released.set()
    wait_for([held, *rest])

    assert log.names == ["held", "replay", "a0", "a1"]


def test_an_activation_that_fails_or_is_given_up_blocks_no_other(executor: FairExecutor) -> None:
    log = Log()

    def fail(_: WorkflowActivation) -> None:
        raise LookupError

    held = executor.submit(log.hold("held"), begin("x", "a"))
    given_up = executor.submit(log.note("given up"), begin("y", "a"))
    assert given_up.cancel()
    failed = executor.submit(fail, begin("z", "a"))
    last = executor.submit(log.note("last"), begin("l", "a"))
    log.released.set()
    wait_for([held, last])

    assert isinstance(failed.exception(SECONDS), LookupError)
    assert log.names == ["held", "last"]


def evict(run_id: str) -> WorkflowActivation:
    """Return the activation that removes a run from the cache."""
    activation = WorkflowActivation(run_id=run_id)
    activation.jobs.add().remove_from_cache.SetInParent()
    return activation


def test_runs_that_leave_the_cache_are_forgotten(executor: FairExecutor) -> None:
    wait_for([executor.submit(lambda _: None, begin("x", "a")), executor.submit(lambda _: None, evict("x"))])

    assert executor._customers == {}


def test_an_eviction_that_is_submitted_again_has_the_turn_of_its_customer(executor: FairExecutor) -> None:
    """The SDK does that after one that failed or waited too long; it ran beside the customer's other runs."""

    def fail(_: WorkflowActivation) -> None:
        raise LookupError

    log = Log()
    wait_for([executor.submit(log.note("x"), begin("x", "a"))])
    assert isinstance(executor.submit(fail, evict("x")).exception(SECONDS), LookupError)
    held = executor.submit(log.hold("held"), begin("y", "a"))
    assert log.reached.wait(SECONDS)
    assert executor.submit(log.note("given up"), evict("x")).cancel()
    again = executor.submit(log.note("again"), evict("x"))
    executor.submit(log.note("b"), begin("z", "b")).result(SECONDS)

    assert log.names == ["x", "held", "b"]

    log.released.set()
    wait_for([held, again])
    assert "x" not in executor._customers
