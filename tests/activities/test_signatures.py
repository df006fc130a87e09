"""How an action is declared: a model or plain typed arguments, `async def` or `def`, with or without a context."""

from collections.abc import Callable
from datetime import date
from threading import Event
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from activities.registry import THREAD_HEARTBEAT_SECONDS, ActionError, ActionSpec
from orchestrator.actions import ActionContext, action


class Order(BaseModel):
    number: int


class Priced(BaseModel):
    cents: int


def declare(function: Callable[..., Any], **more: Any) -> ActionSpec:
    spec: ActionSpec = action("test.it", **more)(function).__orchestrator_action__
    return spec


def call(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    spec = declare(function)
    return spec.call(spec.parameters.model_validate(parameters), ActionContext.for_test(node_id="n"))


def test_plain_typed_arguments_become_the_parameters() -> None:
    def greet(name: Annotated[str, Field(description="Who.")], times: int = 1, *, on: date | None = None) -> str:
        """Greet somebody."""
        return f"{name} {times} {on}"

    spec = declare(greet)
    schema = spec.describe()["parameters"]

    assert call(greet, {"name": "Ada", "on": "2026-03-01"}) == "Ada 1 2026-03-01"
    assert (schema["required"], list(schema["properties"])) == (["name"], ["name", "times", "on"])
    assert schema["properties"]["name"]["description"] == "Who."
    assert (schema["title"], schema["additionalProperties"], spec.description) == ("Greet", False, "Greet somebody.")
    for wrong in ({}, {"name": "Ada", "tims": 2}, {"name": "Ada", "times": "many"}):
        with pytest.raises(ValidationError):
            spec.parameters.model_validate(wrong)


def test_a_context_may_be_any_argument() -> None:
    def first(context: ActionContext, number: int) -> str:
        return f"{context.node_id}{number}"

    def last(order: Order, info: ActionContext) -> str:
        return f"{info.node_id}{order.number}"

    def alone(context: ActionContext) -> str:
        return context.node_id

    assert call(first, {"number": 1}) == "n1"
    assert call(last, {"number": 1}) == "n1", "the only other argument is the model itself"
    assert call(alone, {}) == "n"


def test_models_may_be_arguments_among_others() -> None:
    def price(order: Order, currency: str) -> Priced:
        return Priced(cents=order.number)

    assert declare(price).result is Priced
    assert call(price, {"order": {"number": 7}, "currency": "EUR"}) == Priced(cents=7)


def test_names_of_pydantic_may_be_arguments() -> None:
    def send(json: dict[str, int], copy: bool = False, model_config: str = "", _x: int = 0) -> Any:
        return json, copy, model_config, _x

    spec = declare(send)

    assert call(send, {"json": {"a": 1}, "copy": True, "model_config": "b", "_x": 2}) == ({"a": 1}, True, "b", 2)
    assert list(spec.describe()["parameters"]["properties"]) == ["json", "copy", "model_config", "_x"]


def test_a_plain_function_runs_in_a_thread_and_learns_of_its_cancellation() -> None:
    def plain(number: int) -> int:
        return number

    async def coroutine(number: int) -> int:
        return number

    assert declare(plain).runs_in_thread
    assert declare(plain).heartbeat_seconds == THREAD_HEARTBEAT_SECONDS
    assert declare(plain, heartbeat_seconds=3).heartbeat_seconds == 3
    assert declare(plain, execution="local").heartbeat_seconds is None
    assert not declare(coroutine).runs_in_thread
    assert declare(coroutine).heartbeat_seconds is None


def test_a_declared_function_stays_as_it_is() -> None:
    @action("test.twice")
    def twice(number: int) -> int:
        return 2 * number

    assert twice(4) == 8


def untyped(name) -> None:  # type: ignore[no-untyped-def]  # the mistake
    """Take an argument without a type."""


def several(*names: str) -> None:
    """Take any number of arguments."""


def keywords(**names: str) -> None:
    """Take any arguments."""


def by_position(name: str, /) -> None:
    """Take an argument by its position alone."""


def two_contexts(a: ActionContext, b: ActionContext) -> None:
    """Take two contexts."""


def unknown_type(a: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821 - the mistake
    """Take a type that does not exist."""


def not_json(event: Event) -> None:
    """Take what cannot be read from JSON."""


def not_described(call: Callable[[], None]) -> None:
    """Take what JSON Schema cannot describe."""


def generator(a: int) -> Any:
    """Yield."""
    yield a


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (untyped, r"does not say the type of `name`: write `def greet\(name: str"),
        (lambda name: None, "does not say the type of `name`"),
        (several, r"cannot take `\*names: str`"),
        (keywords, r"cannot take `\*\*names: str`"),
        (by_position, "passed by name"),
        (two_contexts, "two contexts: a, b"),
        (unknown_type, "has a type that cannot be read: name 'Missing' is not defined"),
        (not_json, "cannot be read from JSON"),
        (not_described, "cannot be read from JSON"),
        (generator, "must be a function"),
        (Order, "must be a function"),
    ],
)
def test_invalid_declarations_are_refused(function: Any, message: str) -> None:
    with pytest.raises(ActionError, match=message):
        declare(function)


def test_a_context_for_tests_has_a_default_for_everything() -> None:
    context = ActionContext.for_test(idempotency_key="k1")

    assert (context.idempotency_key, context.attempt, context.cancelled) == ("k1", 1, False)
    context.cancellation.set()
    assert context.cancelled
    assert not ActionContext.for_test().cancelled
    context.warn("a warning")
    context.heartbeat(7)
