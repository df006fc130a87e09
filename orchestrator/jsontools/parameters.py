"""Validate the parameters of an action, alike before a run, in a simulation and in the worker."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice, suggest_pipe

MAX_LISTED = 5
"""Problems that a message lists; the details have all."""
Keys = tuple[Any, ...]
"""The keys and indexes that lead to a value within the parameters."""


def validate_parameters(model: type[BaseModel], parameters: Any) -> BaseModel:
    """Return the parameters as a model; raises ValidationError.

    Where the model asks for text, a number or a boolean is taken by its text (SPEC §5), as in a longer template.
    """
    while True:
        try:
            return model.model_validate(parameters)
        except ValidationError as error:
            converted = _convert_scalars(parameters, error)
            if converted is None:
                raise
            parameters = converted


def follow_location(parameters: Any, location: Iterable[Any]) -> tuple[Keys, Any]:
    """Return the part of a location that is in the data, and the value there; pydantic adds names of types to it."""
    keys: list[Any] = []
    for key in location:
        inside = isinstance(parameters, Mapping) and key in parameters
        if not inside and not (isinstance(parameters, list) and isinstance(key, int) and key < len(parameters)):
            break
        parameters = parameters[key]
        keys.append(key)
    return tuple(keys), parameters


def list_invalid_parameters(error: ValidationError) -> list[dict[str, str]]:
    """Return the path and message of each problem; types, not values: they may be secrets."""
    return [
        {"path": format_pointer(found["loc"]), "message": _describe_problem(found)}
        for found in error.errors(include_url=False)
    ]


def summarize_invalid_parameters(action: str, problems: Iterable[Mapping[str, str]]) -> str:
    """Return one message about the problems of a call."""
    listed = [f"{problem['path'] or '/'}: {problem['message']}" for problem in problems]
    return f"invalid parameters for {action}: {'; '.join(listed[:MAX_LISTED])}"


def _describe_problem(error: Mapping[str, Any]) -> str:
    hint = suggest_choice(error) or suggest_pipe(error)
    return describe_validation_error(error) + (f" ({hint})" if hint else "")


def _convert_scalars(parameters: Any, error: ValidationError) -> Any:
    """Return a copy with numbers and booleans as text where the model asks for text; None if there are none."""
    texts: dict[Keys, str] = {}
    for found in error.errors(include_url=False):
        keys, value = _find_value(parameters, found["loc"])
        if found["type"] == "string_type" and isinstance(value, bool | int | float):
            try:
                texts[keys] = str(value).lower() if isinstance(value, bool) else str(value)
            except ValueError:  # more digits than Python formats
                continue
    return _replace(parameters, texts, ()) if texts else None


def _find_value(parameters: Any, location: Iterable[Any]) -> tuple[Keys, Any]:
    """Return the keys of a value and the value; names of types in the location, as of a union, are passed over."""
    keys: Keys = ()
    rest = tuple(location)
    while rest:
        followed, parameters = follow_location(parameters, rest)
        keys += followed
        rest = rest[len(followed) + 1 :]
    return keys, parameters


def _replace(value: Any, texts: Mapping[Keys, str], keys: Keys) -> Any:
    if keys in texts:
        return texts[keys]
    if isinstance(value, Mapping):
        return {key: _replace(item, texts, (*keys, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, texts, (*keys, index)) for index, item in enumerate(value)]
    return value
