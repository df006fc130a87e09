"""Validation errors are worded for people, with the limit, the type and the likely name."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice, suggest_pipe


class Even(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0

    @field_validator("number")
    @classmethod
    def check(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


def find_error(kind: Any, value: object) -> Any:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(kind).validate_python(value)
    return refusal.value.errors(include_url=False)[0]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (str, 1, "must be text, not a number"),
        (list[int], {}, "must be a list, not an object"),
        (Even, [], "must be an object, not a list"),
        (int, "x", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (bool, "maybe", "must be true or false"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[float, Field(le=60)], 61, "must be at most 60.0"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[str, Field(max_length=2)], "abc", "must have at most 2 characters"),
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items"),
        (Annotated[str, Field(pattern="^a+$")], "b", "contains characters that are not allowed"),
        (Literal["read", "run"], "edit", "must be 'read' or 'run'"),
        (AwareDatetime, datetime(2026, 1, 31), "must be a time with its offset, such as 2026-01-31T08:00:00Z"),
        (Even, {"number": 1}, "must be even"),
        (Even, {"nubmer": 2}, "is not a known field"),
    ],
)
def test_a_message_says_what_is_expected(kind: Any, value: object, message: str) -> None:
    assert describe_validation_error(find_error(kind, value)) == message


def test_a_misspelt_choice_is_suggested() -> None:
    assert suggest_choice(find_error(Literal["running", "failed"], "runing")) == "did you mean `running`?"
    assert suggest_choice(find_error(Literal["running", "failed"], "x")) is None
    assert suggest_choice(find_error(int, "x")) is None


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [
        (str, {"a": 1}, "to pass an object or a list as text, use `| json`"),
        (str, ["a"], "to pass an object or a list as text, use `| json`"),
        (list[int], {"a": 1}, "to pass the values of an object as a list, use `| values`"),
        (list[int], None, "for a list that may be missing, use `| default([])`"),
        (str, 5, None),
        (list[int], "a", None),
    ],
)
def test_a_pipe_is_suggested_for_a_value_of_another_type(kind: Any, value: object, hint: str | None) -> None:
    assert suggest_pipe(find_error(kind, value)) == hint
