"""Read the signature of an action: the model of its parameters, its result, and where its context goes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

EXAMPLE = "`def greet(name: str, times: int = 1) -> str`, or a pydantic model as the only argument"
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ActionError(TypeError):
    """The declaration of an action is invalid."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of an action."""

    parameters: type[BaseModel]
    result: type[BaseModel] | None
    description: str
    is_async: bool
    fields: Mapping[str, str]
    """The field of `parameters` for each argument; empty where the model itself is the argument `model`."""
    model: str | None = None
    context: str | None = None
    """The argument that takes the context."""

    def list_arguments(self, parameters: BaseModel) -> dict[str, Any]:
        """Return the arguments for validated parameters."""
        if self.model is not None:
            return {self.model: parameters}
        return {argument: getattr(parameters, name) for argument, name in self.fields.items()}


def read_signature(name: str, function: Callable[..., Any], context_type: type) -> Signature:
    """Return the signature of an action; raises ActionError."""
    where = f"action {name!r}: {getattr(function, '__qualname__', function)}"
    if (
        not inspect.isfunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        raise ActionError(f"{where} must be a function, `def` or `async def`")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ActionError(f"{where} has a type that cannot be read: {error}") from error
    arguments = dict(inspect.signature(function).parameters)
    contexts = [each for each in arguments if hints.get(each) is context_type]
    if len(contexts) > 1:
        raise ActionError(f"{where} takes two contexts: {', '.join(contexts)}")
    context = arguments.pop(contexts[0]).name if contexts else None
    _check_arguments(where, arguments, hints)
    first, fields = next(iter(arguments), ""), {each: _choose_field_name(each) for each in arguments}
    is_model = len(arguments) == 1 and _is_model(hints[first])
    result = hints.get("return")
    return Signature(
        parameters=hints[first] if is_model else _build_model(where, function, arguments, hints, fields),
        result=result if _is_model(result) else None,
        description=inspect.getdoc(function) or "",
        is_async=inspect.iscoroutinefunction(function),
        fields={} if is_model else fields,
        model=first if is_model else None,
        context=context,
    )


def _check_arguments(where: str, arguments: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]) -> None:
    for each, argument in arguments.items():
        if argument.kind not in NAMED:
            raise ActionError(f"{where} cannot take `{argument}`: parameters are passed by name")
        if each not in hints:
            raise ActionError(f"{where} does not say the type of `{each}`: write {EXAMPLE}")


def _build_model(
    where: str,
    function: Callable[..., Any],
    arguments: Mapping[str, inspect.Parameter],
    hints: Mapping[str, Any],
    fields: Mapping[str, str],
) -> type[BaseModel]:
    """Return a model whose fields are the arguments of a function."""
    definitions: dict[str, Any] = {}
    for each, argument in arguments.items():
        default = ... if argument.default is inspect.Parameter.empty else argument.default
        definitions[fields[each]] = (hints[each], default if fields[each] == each else Field(default, alias=each))
    title = "".join(part.title() for part in function.__name__.split("_"))
    config = ConfigDict(extra="forbid", validate_default=False)
    try:
        model = create_model(title, __config__=config, __module__=function.__module__, **definitions)
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise ActionError(f"{where} has an argument that cannot be read from JSON: {error.message}") from error
    return model


def _choose_field_name(argument: str) -> str:
    """Return the name of an argument as a field, which cannot be one of the model's own: `json`, `copy`, `_x`."""
    taken = hasattr(BaseModel, argument) or argument.startswith(("_", "model_"))
    return f"argument_{argument.lstrip('_')}" if taken else argument


def _is_model(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseModel)
