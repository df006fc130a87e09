"""Actions and where they are kept: all that an action of somebody else depends on. No Temporal here."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel

Execution = Literal["activity", "local"]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Awaitable[Any]])
SPEC_ATTRIBUTE = "__orchestrator_action__"


class ActionError(TypeError):
    """An action is declared in a way that cannot work."""


class ActionFailed(Exception):
    """The action could not do what it was asked; says what kind of failure it is and whether to try again."""

    def __init__(
        self,
        message: str,
        *,
        error_type: str = "action_error",
        details: Mapping[str, Any] | None = None,
        recoverable: bool = True,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        """One of `validation_error`, `execution_error`, `action_error`, `timeout_error`, `unknown`."""
        self.details = dict(details or {})
        self.recoverable = recoverable
        """False: another attempt would fail the same way."""
        self.retry_after_seconds = retry_after_seconds
        """Not before this time; from a server's `Retry-After`."""


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Who calls, and the means an action has."""

    run_id: str
    workflow_id: str
    customer_id: str
    node_id: str
    attempt: int
    """1 at first."""
    idempotency_key: str
    """The same for every attempt of a step, different for every other step."""
    resources: Any = None
    """The worker's settings and clients; see `activities.resources`."""
    heartbeat: Callable[..., None] = lambda *details: None
    """Tell Temporal that the action is alive, with what it has done so far."""


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action."""

    name: str
    description: str
    function: Callable[..., Awaitable[Any]]
    parameters: type[BaseModel]
    result: type[BaseModel] | None
    takes_context: bool
    retry: Mapping[str, Any] | None = None
    """Over Temporal's defaults; a definition's own words come over it."""
    timeout_seconds: float | None = None
    """Longest one attempt may take."""
    heartbeat_seconds: float | None = None
    """Longest silence; with it the action learns that it is cancelled."""
    execution: Execution = "activity"

    def describe(self) -> dict[str, Any]:
        """Give name, description and the JSON Schemas of parameters and result."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters.model_json_schema(),
            "result": None if self.result is None else self.result.model_json_schema(),
            "retry": dict(self.retry) if self.retry else None,
            "timeout_seconds": self.timeout_seconds,
            "heartbeat_seconds": self.heartbeat_seconds,
            "execution": self.execution,
        }


def action(
    name: str,
    *,
    retry: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
    heartbeat_seconds: float | None = None,
    execution: Execution = "activity",
) -> Callable[[FunctionT], FunctionT]:
    """Declare an async function an action: `async def f(parameters: Model[, context: ActionContext]) -> Model`.

    It is registered only when its module is; raises ActionError for a declaration that cannot work.
    """

    def declare(function: FunctionT) -> FunctionT:
        parameters, result, takes_context = _read_signature(name, function)
        spec = ActionSpec(
            name=name,
            description=inspect.getdoc(function) or "",
            function=function,
            parameters=parameters,
            result=result,
            takes_context=takes_context,
            retry=retry,
            timeout_seconds=timeout_seconds,
            heartbeat_seconds=heartbeat_seconds,
            execution=execution,
        )
        setattr(function, SPEC_ATTRIBUTE, spec)
        return function

    return declare


def _read_signature(
    name: str, function: Callable[..., Awaitable[Any]]
) -> tuple[type[BaseModel], type[BaseModel] | None, bool]:
    if not inspect.iscoroutinefunction(function):
        raise ActionError(f"action {name!r}: {function.__qualname__} must be an async function")
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    model = hints.get(names[0]) if names else None
    if model is None or not _is_model(model) or len(names) > 2:
        raise ActionError(f"action {name!r} takes a pydantic model of its parameters, and an ActionContext if it likes")
    if len(names) == 2 and hints.get(names[1]) is not ActionContext:
        raise ActionError(f"action {name!r}: the second parameter must be an ActionContext")
    result = hints.get("return")
    return model, result if _is_model(result) else None, len(names) == 2


def _is_model(value: Any) -> Any:
    return inspect.isclass(value) and issubclass(value, BaseModel)


@dataclass(slots=True)
class Registry:
    """The actions that a worker serves, by name."""

    actions: dict[str, ActionSpec] = field(default_factory=dict)

    def add(self, spec: ActionSpec) -> None:
        """Add an action; a name that is taken raises ActionError."""
        if spec.name in self.actions:
            existing = self.actions[spec.name].function
            raise ActionError(f"action {spec.name!r} is there already, from {existing.__module__}")
        self.actions[spec.name] = spec

    def add_module(self, module: Any) -> None:
        """Add every action that a module declares, in the order of their places."""
        specs = [
            value.__orchestrator_action__
            for value in vars(module).values()
            if hasattr(value, SPEC_ATTRIBUTE) and value.__module__ == module.__name__
        ]
        if not specs:
            raise ActionError(f"module {module.__name__} declares no action")
        for spec in specs:
            self.add(spec)

    def get(self, name: str) -> ActionSpec | None:
        """Find an action."""
        return self.actions.get(name)

    def list_names(self) -> list[str]:
        """Name all actions, sorted."""
        return sorted(self.actions)

    def __iter__(self) -> Iterator[ActionSpec]:
        return iter(self.actions[name] for name in self.list_names())


def build_registry(modules: Iterable[Any]) -> Registry:
    """Make a registry of modules."""
    registry = Registry()
    for module in modules:
        registry.add_module(module)
    return registry
