"""A run document has a size that can be answered, whatever its values share."""

from typing import Any

from orchestrator.interpreter.run_document import build_run_document
from orchestrator.interpreter.step_record import Step
from orchestrator.model.run import ErrorDocument, Run
from orchestrator.temporal.history.document_limit import MAX_DOCUMENT_BYTES, limit_document
from orchestrator.temporal.payloads import TRIMMED
from tests.temporal.test_payloads import EPOCH, INFO, PLAN, make_doubled, make_state


def make_document(*steps: Step, **data: Any) -> Run:
    state = make_state(**data)
    state.log.extend(steps)
    return build_run_document(PLAN, INFO, state)


def make_step(number: int, **fields: Any) -> Step:
    return Step(f"n{number}", "n", "", "completed", EPOCH, number, EPOCH, **fields)


def test_a_document_that_fits_is_left_as_it_is() -> None:
    document = make_document(make_step(1, output={"n": 1}))

    assert limit_document(document) is document


def test_the_oldest_steps_lose_their_data_first() -> None:
    part = MAX_DOCUMENT_BYTES // 3
    steps = [make_step(number, output={"text": "x" * part}, warnings=("w" * part,)) for number in range(1, 4)]
    limited = limit_document(make_document(*steps))

    assert [step.output_data == {"text": "x" * part} for step in limited.steps] == [False, False, True]
    assert [step.warnings == ["w" * part] for step in limited.steps] == [False, False, True]
    assert limited.steps[0].output_data == TRIMMED
    assert limited.steps[0].warnings == [TRIMMED]


def test_an_error_keeps_its_message() -> None:
    failed = [make_step(number) for number in range(1, 4)]
    for step in failed:
        details = {"body": "x" * (MAX_DOCUMENT_BYTES // 2)}
        step.error = ErrorDocument(message="declined", error_type="action_error", details=details)
    first, _, last = limit_document(make_document(*failed)).steps

    assert first.error is not None
    assert (first.error["message"], first.error["details"]) == ("declined", {"dropped": TRIMMED})
    assert last.error is not None
    assert "body" in last.error["details"]


def test_values_that_share_their_parts_are_not_written_out() -> None:
    """They take no memory, and a gigabyte as JSON."""
    value = make_doubled(25)
    limited = limit_document(make_document(make_step(1, output=value), x=value))

    assert limited.context == {"dropped": TRIMMED}
    assert limited.steps[0].output_data == TRIMMED
