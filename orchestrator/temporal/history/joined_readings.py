"""Join the readings of the executions of a run, or of a branch of one, from the latest back. No I/O."""

from dataclasses import replace

from orchestrator.interpreter.joined_steps import JoinedSteps
from orchestrator.model.run import StepDocument
from orchestrator.temporal.history.document_limit import limit_document
from orchestrator.temporal.history.reader import FlowReading


class JoinedReadings:
    """What is known of a flow from its latest executions."""

    def __init__(self, latest: FlowReading) -> None:
        self._latest = latest
        self._steps = JoinedSteps[StepDocument](latest.step_limit)
        self._is_complete = True
        self._continues = ""
        self._executions = 0
        self._worker_seconds = 0.0
        self._add(latest)

    def find_next(self) -> str:
        """Return the execution to read next; empty where the document has all the steps that it keeps."""
        return "" if self._steps.is_full else self._continues

    def add(self, earlier: FlowReading | None) -> None:
        """Add the execution before; `None` where its history is no longer stored."""
        if earlier is None:
            self._is_complete, self._continues = False, ""
        else:
            self._add(earlier)

    def _add(self, reading: FlowReading) -> None:
        self._steps.add_earlier(zip(reading.numbers, reading.run.steps, strict=True), reading.drops)
        self._is_complete &= reading.run.complete
        self._continues = reading.continues
        self._executions += reading.executions
        self._worker_seconds += reading.worker_seconds

    def join(self) -> FlowReading:
        """Return the reading of the latest execution with the newest steps of all."""
        newest = self._steps.list_newest()
        steps = [step for _, step in newest]
        run = self._latest.run.model_copy(update={"steps": steps, "complete": self._is_complete})
        return replace(
            self._latest,
            run=limit_document(run),
            numbers=[number for number, _ in newest],
            executions=self._executions,
            worker_seconds=self._worker_seconds,
        )
