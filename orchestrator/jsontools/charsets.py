"""Decode text by the charset that its sender declares. No I/O."""

import codecs
import json

NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"})
"""Codecs of Python that no sender means; they may take quadratic time, or yield lone surrogates."""
BYTE_ORDER_MARK = "\ufeff"


def find_charset(label: str | None) -> str | None:
    """Return the codec of a declared charset, or None if it is unknown."""
    try:
        codec = codecs.lookup(label.strip("\"' ")) if label else None
        if codec is None or codec.name in NOT_CHARSETS:
            return None
        b"\0\0\0\0".decode(codec.name, "replace")  # raises LookupError for codecs that are not of text
    except (LookupError, ValueError):
        return None
    return codec.name


def decode_json(raw: bytes, charset: str | None, errors: str = "strict") -> str:
    """Return the text of a JSON body without its byte order mark; raises UnicodeDecodeError.

    JSON without a known charset is UTF-8, or UTF-16 or UTF-32 if its first bytes say so.
    """
    codec = find_charset(charset) or json.detect_encoding(raw)
    return raw.decode(codec, errors).removeprefix(BYTE_ORDER_MARK)
