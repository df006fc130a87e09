"""Bound the runs that a worker caches by the bytes that they were given, and not only by their number.

The SDK counts cached runs and has no public way to evict one. `Worker._bridge_worker.request_workflow_eviction` does:
the run is replayed with its next task, as after a restart. This is the only module that uses it.

In memory a run takes one to eight times what it was given: text as much, many small objects the most.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.workflow import Info

COMPRESSED = b"binary/plain"
"""Encoding of the state that a run has carried over continue-as-new."""
EXPANSION = 5
"""How many times larger that is once it is read; measured on rows, 4.4."""


class RunCache:
    """The cached runs of a worker, the least recently used first. Used by the threads of its workflow tasks."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        """What the cached runs were given, without those that are leaving."""
        self._bytes: dict[str, int] = {}
        self._leaving: set[str] = set()
        """Runs whose eviction is requested."""
        self._lock = threading.Lock()
        self._evict: Callable[[str], object] = lambda run_id: None

    def open(self, worker: Worker) -> None:
        """Evict runs of this worker, whose event loop is the running one."""
        loop, bridge = asyncio.get_running_loop(), worker._bridge_worker
        self._evict = lambda run_id: loop.call_soon_threadsafe(bridge.request_workflow_eviction, run_id)

    def add(self, run_id: str, size: int) -> None:
        """Record what a run was given, and evict others, the least recently used first, where they are too many."""
        evicted = []
        with self._lock:
            self._bytes[run_id] = self._bytes.pop(run_id, 0) + size
            if run_id not in self._leaving:
                self.total_bytes += size
            for other in self._bytes:
                if self.total_bytes <= self.max_bytes or other == run_id:
                    break
                if other not in self._leaving:
                    self._leaving.add(other)
                    self.total_bytes -= self._bytes[other]
                    evicted.append(other)
        for other in evicted:
            self._evict(other)

    def remove(self, run_id: str) -> None:
        """Forget a run that has been evicted."""
        with self._lock:
            size = self._bytes.pop(run_id, 0)
            if run_id not in self._leaving:
                self.total_bytes -= size
            self._leaving.discard(run_id)


class MeasuringRunner(WorkflowRunner):
    """Runs workflows without a sandbox, and measures what they are given."""

    def __init__(self, cache: RunCache) -> None:
        self.cache = cache
        self._runner = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        """Do nothing, as without a sandbox."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create an instance whose activations are measured."""
        return _MeasuredInstance(self._runner.create_instance(det), self.cache)


class _MeasuredInstance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, cache: RunCache) -> None:
        self._instance = instance
        self._cache = cache

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._instance.activate(act)
        if any(job.HasField("remove_from_cache") for job in act.jobs):
            self._cache.remove(act.run_id)
        else:
            self._cache.add(act.run_id, measure_activation(act))
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def measure_activation(act: WorkflowActivation) -> int:
    """Return how many bytes a workflow task gives to a run: inputs, results, events."""
    size = act.ByteSize()
    for job in act.jobs:
        if job.HasField("initialize_workflow"):
            arguments = job.initialize_workflow.arguments
            compressed = sum(len(each.data) for each in arguments if each.metadata.get("encoding") == COMPRESSED)
            size += (EXPANSION - 1) * compressed
    return size
