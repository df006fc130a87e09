"""Mocks of actions, and what happens to a simulated run: read and checked (SPEC §11)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import read_yaml
from orchestrator.errors import OrchestratorError
from orchestrator.jsontools.source import parse_json as read_json_text

if TYPE_CHECKING:
    from activities.registry import ActionSpec, Registry

FORM = 'write {"output": …} or {"error": {"message": …, "error_type": …}}, or a list of them'


def read_mocks(name: str | None) -> dict[str, Any]:
    """Read a file of mocks; raises UsageError."""
    if name is None:
        return {}
    value = read_yaml(name)
    return check_mocks({} if value is None else value, name)


def check_mocks(value: Any, where: str) -> dict[str, Any]:
    """Give mocks whose form is right; raises UsageError."""
    if not isinstance(value, Mapping):
        raise UsageError("mocks are an object: action to answer", where=where, hint=FORM)
    for action, answer in value.items():
        answers = answer if isinstance(answer, list) else [answer]
        if not answers:
            raise UsageError(f"the list of answers of {action} is empty", where=where, hint=FORM)
        for one in answers:
            if not isinstance(one, Mapping) or len(one) != 1 or not one.keys() <= {"output", "error"}:
                raise UsageError(f"{action} has no answer that can be read", where=where, hint=FORM)
    return {str(action): answer for action, answer in value.items()}


def parse_event(argument: str) -> dict[str, Any]:
    """Read `name=payload@seconds`; payload (JSON) and seconds may be left out."""
    text, seconds = argument, 0.0
    head, at, tail = argument.rpartition("@")
    if at:
        try:
            text, seconds = head, float(tail)
        except ValueError:
            text = argument
    name, equals, payload = text.partition("=")
    if not name or not 0 <= seconds < float("inf"):
        raise UsageError(f"--event {argument!r} cannot be read", hint="write name={json}@seconds")
    try:
        return {"name": name, "payload": read_json_text(payload).value if equals else None, "at": seconds}
    except OrchestratorError as error:
        hint = 'write name={"key": "value"}@seconds; text needs its quotes: name=\'"text"\'@5'
        raise UsageError(f"the payload of --event {name} is no JSON: {error.message}", hint=hint) from None


class MockedRegistry:
    """A registry in which every mocked action is known, whatever its parameters (SPEC §11)."""

    def __init__(self, registered: "Registry", mocked: Collection[str]) -> None:
        self.registered = registered
        self.mocked = mocked

    def get(self, name: str) -> "ActionSpec | MockedAction | None":
        """Find an action."""
        spec = self.registered.get(name)
        return MockedAction(name) if spec is None and name in self.mocked else spec

    def list_names(self) -> list[str]:
        """Name all actions."""
        return sorted({*self.registered.list_names(), *self.mocked})


def create_any_parameters() -> Any:
    """Give a model that takes every parameter."""
    from pydantic import ConfigDict, create_model

    return create_model("AnyParameters", __config__=ConfigDict(extra="allow"))


@dataclass(frozen=True, slots=True)
class MockedAction:
    """An action that only a mock answers."""

    name: str
    retry: None = None
    timeout_seconds: None = None
    heartbeat_seconds: None = None
    execution: str = "activity"

    @property
    def parameters(self) -> Any:
        """Give a model that takes every parameter."""
        return create_any_parameters()
