"""The sizes of a forecast as a query parameter: JSON, as FastAPI takes no model there."""

from pydantic import ValidationError

from orchestrator.forecast.sizes import Sizes, describe_mistakes


def require_sizes(text: str | None) -> str | None:
    """Return the text; raise ValueError where it is not JSON of sizes."""
    try:
        parse_sizes(text)
    except ValidationError as error:
        raise ValueError(describe_mistakes(error)) from None
    return text


def parse_sizes(text: str | None) -> Sizes | None:
    """Return the sizes; `None` where none are given."""
    return None if text is None else Sizes.model_validate_json(text)
