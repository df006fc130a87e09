"""The pipes that decode and encode text: JSON, hashes, Base64. Replay-sensitive."""

import base64
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_types import describe_value
from orchestrator.jsontools.json_values import MAX_DEPTH
from orchestrator.jsontools.source import JsonSyntaxError, parse_json
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.env import Env
from orchestrator.language.nodes import Node
from orchestrator.language.pipe_values import check_constant, require_text
from orchestrator.language.values import MAX_TEXT_LENGTH, CannotTake

ALGORITHMS: dict[str, Callable[[bytes], Any]] = {
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


def parse_text(env: Env, value: Any) -> Any:
    """Return the value in JSON text."""
    if not isinstance(value, str):
        raise CannotTake("JSON text")
    try:
        return parse_json(value, MAX_DEPTH).value
    except JsonSyntaxError as error:
        raise CannotTake("JSON text", f"{error.where}: {error.message}") from None


def hash_text(env: Env, value: Any, algorithm: Any = "sha256") -> str:
    """Return the hash of a text in hexadecimal."""
    digest = _read_algorithm(algorithm)(require_text(value).encode("utf-8", "replace"))
    return str(digest.hexdigest())


def check_hash(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Check the algorithm of a hash; raises ConditionError."""
    for argument in arguments:
        check_constant(argument, _read_algorithm)


def encode_base64(env: Env, value: Any) -> str:
    """Return the Base64 of a text's UTF-8."""
    text = base64.b64encode(require_text(value).encode("utf-8", "replace")).decode()
    if len(text) > MAX_TEXT_LENGTH:
        raise CannotTake(f"a value whose result has at most {MAX_TEXT_LENGTH:,} characters")
    return text


def _read_algorithm(name: Any) -> Callable[[bytes], Any]:
    algorithm = ALGORITHMS.get(name) if isinstance(name, str) else None
    if algorithm is None:
        hint = did_you_mean(name, ALGORITHMS) or f"known algorithms: {join_names(ALGORITHMS)}"
        raise EvaluationError(f"unknown algorithm {describe_value(name)}", hint=hint)
    return algorithm
