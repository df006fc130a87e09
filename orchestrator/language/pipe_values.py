"""What pipes take: each function returns a value that a pipe can handle, or raises CannotTake. Replay-sensitive."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, assert_never

from orchestrator.errors import ConditionError, EvaluationError
from orchestrator.language.nodes import Binary, Call, Index, List, Literal, Node, Object, Path, Piped, Unary
from orchestrator.language.values import (
    MAX_NUMBER,
    CannotTake,
    is_number,
    number_to_text,
    read_date,
    read_number,
    suggest_list,
    suggest_text,
)


def require_text(value: Any) -> str:
    """Return text; a number is taken by its text."""
    if isinstance(value, str):
        return value
    if is_number(value):
        return number_to_text(value)
    raise CannotTake("text", suggest_text(value))


def require_list(value: Any) -> list[Any]:
    """Return a list."""
    if isinstance(value, list):
        return value
    raise CannotTake("a list", suggest_list(value))


def require_sized(value: Any) -> Any:
    """Return what has a length."""
    if isinstance(value, str | list | dict):
        return value
    raise CannotTake("text, a list or an object")


def require_number(value: Any) -> int | float:
    """Return a number; text that reads as one is taken as such."""
    read = read_number(value)
    if read is None:
        raise CannotTake("a number")
    return read


def require_whole(value: Any) -> int:
    """Return a whole number."""
    number = require_number(value)
    if number != int(number):
        raise CannotTake("a whole number")
    return int(number)


def require_finite(value: Any) -> Any:
    """Return a number that JSON can represent."""
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise CannotTake("numbers with a finite sum")
    return value


def require_comparable(values: list[Any]) -> list[Any]:
    """Return values that can be put in order."""
    if all(map(is_number, values)) or all(isinstance(value, str) for value in values):
        return values
    raise CannotTake("a list with only numbers or only text")


def require_object(value: Any) -> dict[str, Any]:
    """Return an object."""
    if isinstance(value, dict):
        return value
    raise CannotTake("an object")


def require_date(value: Any) -> datetime:
    """Return a time; text that reads as one is taken as such."""
    read = read_date(value)
    if read is None:
        raise CannotTake("a date")
    return read


def _reads_secret(node: Node) -> bool:
    """Return whether a node is a secret, with or without pipes; nothing else can contain one."""
    match node:
        case Path(root=root):
            return root == "secrets"
        case Piped(subject=subject, arguments=arguments):
            return _reads_secret(subject) or any(map(_reads_secret, arguments))
        case Literal() | List() | Object() | Index() | Call() | Binary() | Unary():
            return False
        case _:
            assert_never(node)


def check_constant(argument: Node, read: Callable[[Any], Any]) -> None:
    """Check an argument that is a constant, as it will be when the template is rendered; raises ConditionError."""
    if _reads_secret(argument):
        raise ConditionError("it cannot take a secret here")  # its error would show what it cannot take
    if isinstance(argument, Literal):
        try:
            read(argument.value)
        except EvaluationError as error:
            raise ConditionError(error.message, hint=error.hint) from None
