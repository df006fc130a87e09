"""Run the workflow code of a worker, for one run of each customer at a time.

Python executes one thread at a time, so further threads of a customer would only slow down those of the others. The
runs of a customer that compute all the time wait for each other here; the run of another waits for none of them.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

THREADS = 4
"""Customers whose runs are executed at the same time; the others take turns."""


@dataclass(frozen=True, slots=True)
class _Turn:
    future: Future[Any]
    work: Callable[[], Any]

    def take(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - the future raises it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


@dataclass(slots=True)
class _Queue:
    """The turns of one customer. A replay comes first: its workflow task is thrown away after 10 s."""

    replays: deque[_Turn] = field(default_factory=deque)
    others: deque[_Turn] = field(default_factory=deque)

    def pop(self) -> _Turn:
        return (self.replays or self.others).popleft()


class FairExecutor(ThreadPoolExecutor):
    """Executes activations of workflows; a customer is known by its fairness key."""

    def __init__(self, threads: int = THREADS) -> None:
        super().__init__(threads, thread_name_prefix="workflow")
        self._lock = threading.Lock()
        self._ready: deque[str] = deque()
        """Customers that wait for a thread, each once."""
        self._queues: dict[str, _Queue] = {}
        """Customers that wait for a thread or have one."""
        self._customers: dict[str, str] = {}
        """Customers of the cached executions, by run id of Temporal."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Execute a function as soon as its customer has its turn; the first argument is an activation."""
        activation = args[0] if args and isinstance(args[0], WorkflowActivation) else WorkflowActivation()
        turn = _Turn(Future(), partial(self._execute, activation, partial(fn, *args, **kwargs)))
        with self._lock:
            customer = self._find_customer(activation)
            is_waiting = customer in self._queues
            queue = self._queues.setdefault(customer, _Queue())
            (queue.replays if activation.is_replaying else queue.others).append(turn)
            if not is_waiting:
                self._ready.append(customer)
        if not is_waiting:
            super().submit(self._run_next)
        return turn.future

    def _find_customer(self, activation: WorkflowActivation) -> str:
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                self._customers[activation.run_id] = job.initialize_workflow.priority.fairness_key
        return self._customers.get(activation.run_id, "")

    def _execute(self, activation: WorkflowActivation, work: Callable[[], Any]) -> Any:
        """Do the work of an activation; an eviction that fails is submitted again, still as one of the customer."""
        result = work()
        if any(job.HasField("remove_from_cache") for job in activation.jobs):
            with self._lock:
                self._customers.pop(activation.run_id, None)
        return result

    def _run_next(self) -> None:
        with self._lock:
            customer = self._ready.popleft()
            queue = self._queues[customer]
            turn = queue.pop()
        turn.take()
        with self._lock:
            has_more = bool(queue.replays or queue.others)
            if has_more:
                self._ready.append(customer)
            else:
                del self._queues[customer]
        if has_more:
            super().submit(self._run_next)
