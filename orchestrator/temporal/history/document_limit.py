"""Keep a run document within a size. No I/O.

Values share their parts: 20 nodes that each double one take no memory, and a gigabyte as JSON.
"""

from typing import Any

from orchestrator.model.run import Run, StepDocument
from orchestrator.temporal.payloads import TRIMMED, drop_value, measure_up_to

MAX_DOCUMENT_BYTES = 16 * 1_048_576
"""Of the values of one execution, as `measure_up_to` counts them."""
RUN_FIELDS = ("output", "failure", "input_data", "trigger_data", "context")
STEP_FIELDS = ("output_data", "error", "decision", "warnings", "input_data")


def limit_document(run: Run) -> Run:
    """Return a document whose oldest steps have lost what does not fit."""
    budget = _Budget()
    changed: dict[str, Any] = {}
    for name in RUN_FIELDS:
        value = getattr(run, name)
        changed[name] = value if budget.take(value) else _drop_from_run(name, value)
    steps = [_limit_step(step, budget) for step in reversed(run.steps)]
    return run if budget.fits else run.model_copy(update={**changed, "steps": steps[::-1]})


class _Budget:
    """What is left of the size."""

    def __init__(self) -> None:
        self.left = MAX_DOCUMENT_BYTES
        self.fits = True

    def take(self, value: Any) -> bool:
        """Return whether a value still fits."""
        size = measure_up_to(value, max(self.left, len(TRIMMED)))
        if size > max(self.left, len(TRIMMED)):
            self.fits = False
            return False
        self.left -= size
        return True


def _limit_step(step: StepDocument, budget: _Budget) -> StepDocument:
    dropped = {name: drop_value(name, value) for name in STEP_FIELDS if not budget.take(value := getattr(step, name))}
    return step.model_copy(update=dropped) if dropped else step


def _drop_from_run(name: str, value: Any) -> Any:
    return drop_value(name, value) if name == "failure" else {"dropped": TRIMMED}
