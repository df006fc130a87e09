"""Encode the result of an action as JSON without secrets, once, and within the limits of what a step may have."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from activities.redaction import Redactor
from activities.registry import ActionFailed
from orchestrator.jsontools.json_values import (
    MAX_DEPTH,
    SURROGATES_REPLACED,
    TOO_DEEP,
    NotJson,
    is_deeper,
    normalize_json,
    replace_surrogates,
)
from orchestrator.model.run import ATTEMPT_KEY, WARNINGS_KEY
from orchestrator.settings import Settings

MAX_RESULT_BYTES = 1_800_000
"""Temporal refuses payloads over 2 MiB, and would retry the attempt; here the step fails with the size it has."""
MAX_STORED_RESULT_BYTES = 7_800_000
"""With a payload store: the run may record 8 MB."""


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What an attempt at an action has returned."""

    value: Any
    text: str
    """The value as JSON, as Temporal's converter writes it: without spaces, and with the keys sorted."""
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_value(cls, value: Any, warnings: tuple[str, ...] = ()) -> "ActionAnswer":
        """Return the answer with a JSON value."""
        return cls(value, _encode(value), warnings)

    def to_activity_result(self, attempt: int) -> Any:
        """Return what the activity of the action returns."""
        if attempt == 1 and not self.warnings:
            return self.value
        wrapped = {ATTEMPT_KEY: attempt, "result": self.value}
        return {**wrapped, WARNINGS_KEY: list(self.warnings)} if self.warnings else wrapped


def get_max_result_bytes(settings: Settings) -> int:
    """Return the size of the largest result of an action, in bytes."""
    return MAX_RESULT_BYTES if settings.payload_store is None else MAX_STORED_RESULT_BYTES


def encode_answer(result: Any, redactor: Redactor, warnings: list[str], limit: int) -> ActionAnswer:
    """Return a result as JSON without secrets; raises ActionFailed where it is too large, too deep or not JSON."""
    value, has_surrogates = ({}, False) if result is None else _normalize(result, warnings)
    if has_surrogates:
        warnings.append(SURROGATES_REPLACED)
    answer = ActionAnswer.from_value(redactor.redact(value), tuple(map(redactor.redact_text, warnings)))
    size = len(answer.text)
    if size > limit:
        raise ActionFailed(
            f"the action's result is {size:,} bytes; the limit is {limit:,}."
            " Store large data elsewhere and return a reference",
            details={"bytes": size, "limit": limit},
            recoverable=False,
        )
    return answer


def _normalize(result: Any, warnings: list[str]) -> tuple[Any, bool]:
    try:
        value = _dump(result, warnings) if isinstance(result, BaseModel) else result
        return normalize_json(value if isinstance(value, dict) else {"result": value})
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionFailed(f"cannot store the action's result: {error}", recoverable=False) from None


def _dump(result: BaseModel, warnings: list[str]) -> Any:
    if is_deeper(dict(result), MAX_DEPTH):
        raise NotJson(TOO_DEEP)
    try:
        return result.model_dump(mode="json", by_alias=True)
    except ValueError:  # pydantic writes no lone surrogates; whatever else it was is raised again
        value = to_jsonable_python(replace_surrogates(result.model_dump(by_alias=True)))
        warnings.append(SURROGATES_REPLACED)
        return value
