"""Declare actions and register them: all that a module with actions imports. No Temporal here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from threading import Event
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from activities.signatures import ActionError, Signature, read_signature
from orchestrator.jsontools.json_types import describe_value
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.described_action import DescribedAction
from orchestrator.model.permissions import SecretInfo
from orchestrator.model.plan import MAX_DELAY_SECONDS

Execution = Literal["activity", "local"]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
THREAD_HEARTBEAT_SECONDS = 10.0
"""Heartbeat timeout of an action in a thread that has none of its own: with it a cancellation arrives."""
SPEC_ATTRIBUTE = "__orchestrator_action__"
__all__ = [
    "ADDRESSES",
    "DISCOURAGED_TEMPLATES",
    "NO_TEMPLATES",
    "TEMPLATES",
    "URL",
    "ActionContext",
    "ActionError",
    "ActionFailed",
    "ActionSpec",
    "Registry",
    "action",
    "build_registry",
]  # fmt: skip

TEMPLATES = "x-templates"
NO_TEMPLATES: dict[str, Any] = {TEMPLATES: "refused"}
"""`json_schema_extra` of a parameter that is code: data that a template puts in would become code too."""
DISCOURAGED_TEMPLATES: dict[str, Any] = {TEMPLATES: "discouraged"}
"""The same, for code that can do no harm: a template in it is a warning."""
TRUSTED: dict[str, Any] = {"x-trusted": True}
"""`json_schema_extra` of a parameter that no one outside may choose, such as an SQL statement: `validate` warns."""
FROM_OUTSIDE: dict[str, Any] = {"x-outside": True}
"""`json_schema_extra` of a part of a result that someone outside chooses, such as the body of an HTTP answer."""
ADDRESSES: dict[str, Any] = {"x-format": "addresses"}
"""`json_schema_extra` of a parameter that holds email addresses: the text of a number is none."""
RECIPIENTS: dict[str, Any] = {**ADDRESSES, **TRUSTED}
"""`json_schema_extra` of the addresses that a mail is sent to."""
URL: dict[str, Any] = {"x-format": "url", **TRUSTED}
"""`json_schema_extra` of a parameter that is a URL: a list or an object cannot be part of it; its host is trusted."""


class ActionFailed(Exception):
    """The action failed. Carries the type of the error and whether a retry may help."""

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
        """Whether the action is retried; False if another attempt would fail the same way."""
        self.retry_after_seconds = retry_after_seconds
        """Seconds to wait before the next attempt, such as a server's `Retry-After`."""


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The run and step that call an action, and the resources it can use."""

    run_id: str
    workflow_id: str
    customer_id: str
    node_id: str
    attempt: int
    """Number of this attempt, from 1."""
    idempotency_key: str
    """The same for every attempt of a step, different for every other step."""
    resources: Any = None
    """The worker's settings and clients: `activities.resources.Resources`."""
    heartbeat: Callable[..., None] = lambda *details: None
    """Report to Temporal that the action is alive, with details of its progress."""
    warn: Callable[[str], None] = lambda message: None
    """Add a warning to the step."""
    bound_secrets: tuple[SecretInfo, ...] = ()
    """The secrets in the parameters that may be sent to some hosts only."""
    redact: Callable[[str], str] = lambda text: text
    """Replace the secrets of this call in a text by `[secret]`. Results and errors are redacted anyway: needed only
    before a text is cut, or is written elsewhere."""
    cancellation: Event = field(default_factory=Event, repr=False)
    """Set when the attempt has ended without the function: it was cancelled, or took too long."""

    @property
    def cancelled(self) -> bool:
        """Whether the attempt has ended: a function in a thread cannot be stopped, and should stop itself."""
        return self.cancellation.is_set()

    @classmethod
    def for_test(cls, **fields: Any) -> "ActionContext":
        """Return a context to call an action with in a test; any field can be given."""
        defaults = {
            "run_id": "test-run",
            "workflow_id": "test-workflow",
            "customer_id": DEFAULT_CUSTOMER,
            "node_id": "test-node",
            "attempt": 1,
            "idempotency_key": "test-key",
        }
        return cls(**{**defaults, **fields})


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A declared action."""

    name: str
    description: str
    function: Callable[..., Any]
    """An async function, or one that runs in a thread."""
    parameters: type[BaseModel]
    result: type[BaseModel] | None
    signature: Signature
    retry: Mapping[str, Any] | None = None
    """Default retry policy; the definition's overrides it."""
    timeout_seconds: float | None = None
    """Default timeout of one attempt, in seconds."""
    heartbeat_seconds: float | None = None
    """Heartbeat timeout, in seconds; required for an action to notice that it is cancelled."""
    execution: Execution = "activity"

    def __reduce__(self) -> tuple[Callable[[str, str], "ActionSpec"], tuple[str, str]]:
        """Pickle a reference: the model of plain arguments belongs to no module, so it cannot be pickled itself."""
        return find_declaration, (self.function.__module__, self.name)

    @property
    def runs_in_thread(self) -> bool:
        """Return whether the function is a plain `def`, which would hold up the event loop."""
        return not self.signature.is_async

    def call(self, parameters: BaseModel, context: ActionContext) -> Any:
        """Call the function; the result of an async one has to be awaited."""
        arguments = self.signature.list_arguments(parameters)
        if self.signature.context is not None:
            arguments[self.signature.context] = context
        return self.function(**arguments)

    def describe(self) -> dict[str, Any]:
        """Return the name, description, defaults, and the JSON Schemas of parameters and result."""
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
    """Declare an action: a function with typed arguments, or with a pydantic model, and optionally an `ActionContext`.

    A plain `def` runs in a thread. The function stays callable as it is, and is registered when its module is. Raises
    ActionError if the declaration is invalid.
    """
    for key, seconds in (("timeout_seconds", timeout_seconds), ("heartbeat_seconds", heartbeat_seconds)):
        if seconds is not None and not 0 < seconds <= MAX_DELAY_SECONDS:
            limits = f"greater than 0 and at most {MAX_DELAY_SECONDS:,.0f} (ten years)"
            raise ActionError(f"{name}: {key} must be {limits}, not {describe_value(seconds)}")

    def declare(function: FunctionT) -> FunctionT:
        signature = read_signature(name, function, ActionContext)
        heartbeat = heartbeat_seconds
        if heartbeat is None and not signature.is_async and execution == "activity":
            heartbeat = THREAD_HEARTBEAT_SECONDS
        spec = ActionSpec(
            name=name,
            description=signature.description,
            function=function,
            parameters=signature.parameters,
            result=signature.result,
            signature=signature,
            retry=retry,
            timeout_seconds=timeout_seconds,
            heartbeat_seconds=heartbeat,
            execution=execution,
        )
        setattr(function, SPEC_ATTRIBUTE, spec)
        return function

    return declare


def list_declarations(module: Any) -> list[ActionSpec]:
    """Return the actions that a module declares, in its order."""
    return [
        value.__orchestrator_action__
        for value in vars(module).values()
        if hasattr(value, SPEC_ATTRIBUTE) and value.__module__ == module.__name__
    ]


def find_declaration(module: str, name: str) -> ActionSpec:
    """Import a module and return the action of this name that it declares."""
    return next(each for each in list_declarations(import_module(module)) if each.name == name)


@dataclass(slots=True)
class Registry:
    """The actions that definitions can name."""

    actions: dict[str, ActionSpec] = field(default_factory=dict)
    described: dict[str, DescribedAction] = field(default_factory=dict)
    """Actions of workers elsewhere; one of the same name here comes first."""

    def add(self, spec: ActionSpec) -> None:
        """Add an action; raises ActionError if the name is taken."""
        if spec.name in self.actions:
            existing = self.actions[spec.name].function
            raise ActionError(
                f"action {spec.name!r} of {spec.function.__module__} is already declared in {existing.__module__}"
            )
        self.actions[spec.name] = spec

    def add_module(self, module: Any) -> None:
        """Add every action that a module declares; raises ActionError if there are none."""
        specs = list_declarations(module)
        if not specs:
            raise ActionError(f"module {module.__name__} declares no actions: decorate functions with @action")
        for spec in specs:
            self.add(spec)

    def get(self, name: str) -> ActionSpec | DescribedAction | None:
        """Return an action, or None."""
        return self.actions.get(name) or self.described.get(name)

    def list_names(self) -> list[str]:
        """Return the names of all actions, sorted."""
        return sorted({*self.actions, *self.described})

    def describe(self) -> list[dict[str, Any]]:
        """Return the descriptions of all actions, those of workers elsewhere included."""
        return [each.describe() for name in self.list_names() if (each := self.get(name)) is not None]

    def __iter__(self) -> Iterator[ActionSpec]:
        """Iterate over the actions that a worker of this process serves."""
        return iter(self.actions[name] for name in sorted(self.actions))


def build_registry(modules: Iterable[Any]) -> Registry:
    """Return a registry of the actions of some modules."""
    registry = Registry()
    for module in modules:
        registry.add_module(module)
    return registry
