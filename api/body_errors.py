"""Find what an error in a request body is about: its JSON Pointer, and the fields that are known there.

Pydantic counts the member of a union, such as the `kind` of a repair, as a part of the location. What the body does not
have is such a part, but for the name of a missing field.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, RootModel

from orchestrator.jsontools.pointer import format_pointer


def format_body_path(error: Mapping[str, Any], location: Sequence[Any], body: Any) -> str:
    """Return the JSON Pointer of an error; `location` is what pydantic calls it, within the body."""
    keys = list[object]()
    value = body
    for part in location:
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            value = value[part]
            keys.append(part)
    if error["type"] == "missing" and location:
        keys.append(location[-1])
    elif error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        keys.append(error["ctx"]["discriminator"].strip("'"))
    return format_pointer(keys)


def list_known_fields(body_type: Any, location: Sequence[Any]) -> list[str]:
    """Return the fields of the object that the last part of a location should be in."""
    models = [*_iterate_models(body_type)]
    for part in location[:-1]:
        tagged = [model for model in models if part in _list_tags(model)]
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if tagged:
            models = tagged
        elif fields:  # another part is an index, a key, or a type of a union
            models = [inner for field in fields for inner in _iterate_models(field.annotation)]
    return [*dict.fromkeys(name for model in models for name in model.model_fields)]


def _iterate_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models of a type: itself, or those of a union or a list."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _iterate_models(annotation.model_fields["root"].annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _iterate_models(part)


def _list_tags(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
