"""Read and check mocks of actions, and events for simulated runs (SPEC §11)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import read_value
from orchestrator.errors import OrchestratorError
from orchestrator.jsontools.source import parse_json as read_json_text

if TYPE_CHECKING:
    from activities.registry import ActionSpec, Registry
    from orchestrator.model.described_action import DescribedAction

ANSWER_KEYS = {"output", "error", "seconds"}
FORM = 'write {"output": …} or {"error": {"message": …, "error_type": …}}, or a list of them'


def read_mocks(name: str | None) -> dict[str, Any]:
    """Read a file of mocks; raises UsageError."""
    if name is None:
        return {}
    value = read_value(name)
    return check_mocks({} if value is None else value, name)


def check_mocks(value: Any, where: str) -> dict[str, Any]:
    """Return well-formed mocks; raises UsageError for others."""
    if not isinstance(value, Mapping):
        raise UsageError("mocks must be an object of actions and their answers", where=where, hint=FORM)
    for action, answer in value.items():
        answers = answer if isinstance(answer, list) else [answer]
        if not answers:
            raise UsageError(f"the list of answers for {action} is empty", where=where, hint=FORM)
        for one in answers:
            if not isinstance(one, Mapping) or len(one.keys() & {"output", "error"}) != 1 or one.keys() - ANSWER_KEYS:
                raise UsageError(f"invalid answer for {action}", where=where, hint=FORM)
            seconds = one.get("seconds", 0)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
                raise UsageError(f"`seconds` of {action} must be a number, 0 or more", where=where)
    return {str(action): answer for action, answer in value.items()}


def parse_event(argument: str) -> dict[str, Any]:
    """Parse `name=payload@seconds`; the payload (JSON) and the seconds are optional."""
    text, seconds = argument, 0.0
    head, at, tail = argument.rpartition("@")
    if at:
        try:
            text, seconds = head, float(tail)
        except ValueError:
            text = argument
    name, equals, payload = text.partition("=")
    if not name or not 0 <= seconds < float("inf"):
        raise UsageError(f"invalid --event {argument!r}", hint="write name=JSON@SECONDS")
    try:
        return {"name": name, "payload": read_json_text(payload).value if equals else None, "at": seconds}
    except OrchestratorError as error:
        hint = 'write name={"key": "value"}@seconds; text needs double quotes: name=\'"text"\'@5'
        raise UsageError(f"the payload of --event {name} is not valid JSON: {error.message}", hint=hint) from None


class MockedRegistry:
    """A registry that also knows every mocked action, with any parameters (SPEC §11)."""

    def __init__(self, registered: "Registry", mocked: Collection[str]) -> None:
        self.registered = registered
        self.mocked = mocked

    def get(self, name: str) -> "ActionSpec | DescribedAction | MockedAction | None":
        """Return an action, or None."""
        spec = self.registered.get(name)
        return MockedAction(name) if spec is None and name in self.mocked else spec

    def list_names(self) -> list[str]:
        """Return the names of all actions."""
        return sorted({*self.registered.list_names(), *self.mocked})


@dataclass(frozen=True, slots=True)
class MockedAction:
    """An action that exists only as a mock."""

    name: str
    retry: None = None
    timeout_seconds: None = None
    heartbeat_seconds: None = None
    execution: str = "activity"

    @property
    def parameters(self) -> Any:
        """Return a model that accepts any parameters."""
        from orchestrator.model.described_action import create_any_parameters

        return create_any_parameters()
