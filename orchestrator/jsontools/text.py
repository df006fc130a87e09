"""Text for people."""


def shorten(text: str, limit: int) -> str:
    """Return the text, or its first `limit` characters and an ellipsis where it is longer."""
    return text if len(text) <= limit else f"{text[:limit]}…"
