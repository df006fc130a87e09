"""Find secrets in text as they come back: raw, escaped, percent-encoded, in HTML, in forms, in base64, in any case.

Used on whatever leaves an action: results, errors and log lines, before they are cut. RE2, so that a text takes linear
time whatever the secrets are.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html.entities import codepoint2name
from typing import Any

import re2

MIN_LENGTH = 4
"""Shorter secrets are not redacted: too much other text contains them."""
REDACTED = "[secret]"
MIN_BASE64 = 6
"""Characters of base64 that must be the secret's own; fewer occur in other text by chance."""
MAX_MEMORY = 1 << 26
"""Bytes for the compiled pattern: private keys are several kilobytes."""


class Redactor:
    """Replaces some secrets by `[secret]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted(
            {value for value in secrets if len(value) >= MIN_LENGTH}, key=lambda value: (-len(value), value)
        )
        self._pattern: Any = None
        if values:
            options = re2.Options()
            options.case_sensitive = False
            options.max_mem = MAX_MEMORY
            options.log_errors = False
            self._pattern = re2.compile("|".join(form for value in values for form in _list_forms(value)), options)

    def redact_text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is None or not text:
            return text
        clean = text.encode(errors="replace").decode()  # RE2 takes no lone surrogates
        return self._pattern.sub(REDACTED, clean) if self._pattern.search(clean) else text

    def redact(self, value: Any) -> Any:
        """Return a JSON value without secrets; keys and numbers are searched too."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.redact_text(value)
            case Mapping():
                return {self.redact(key): self.redact(item) for key, item in value.items()}
            case list() | tuple():
                return [self.redact(item) for item in value]
            case int() | float() if not isinstance(value, bool) and self._pattern.search(json.dumps(value)):
                return REDACTED
        return value


def _list_forms(value: str) -> Iterable[str]:
    """Return patterns of RE2: of the value itself, each character escaped in any way, and of its base64."""
    yield "".join(map(_escape_character, value))
    raw = value.encode(errors="replace")
    for offset in range(3):
        # Base64 depends on the position modulo 3: `user:value` may begin at any. Only whole characters are matched;
        # up to two at each end are shared with the text around.
        encoded = b64encode(b"\0" * offset + raw).decode().rstrip("=")
        own = encoded[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
        if len(own) >= MIN_BASE64:
            yield rf"[A-Za-z0-9+/_-]{{0,2}}{_match_alphabets(own)}[A-Za-z0-9+/_-]{{0,2}}={{0,2}}"
    yield rf"\b{_match_alphabets(b64encode(raw).decode().rstrip('='))}={{0,2}}"


def _match_alphabets(encoded: str) -> str:
    """Return a pattern for both alphabets of base64 (RFC 4648)."""
    return "".join({"+": "[+-]", "/": "[/_]"}.get(letter, letter) for letter in encoded)


def _escape_character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    literal = re2.escape(character)
    units = character.encode("utf-16-be", errors="replace")
    json_escape = "".join(rf"\\+u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode(errors="replace"))
    forms = [*_list_html_forms(character), literal, json_escape, percent]
    match character:
        case " ":
            forms.append(r"\+")
        case "\n" | "\r" | "\t":
            forms.append(r"\\+" + {"\n": "n", "\r": "r", "\t": "t"}[character])
        case "\\":
            forms.append(r"\\+")
        case '"' | "/" | "'":
            forms.append(rf"\\+{literal}")
    return f"(?:{'|'.join(forms)})"


def _list_html_forms(character: str) -> Iterable[str]:
    """Return patterns of a character in HTML: its number, and its name if it has one; `&` may be escaped again."""
    code = ord(character)
    names = [rf"#0*{code}", rf"#x0*{code:x}"]
    if code in codepoint2name:
        names.append(codepoint2name[code])
    if character == "'":
        names.append("apos")
    yield rf"(?:&|\\+u0026)(?:amp;)*(?:{'|'.join(names)});"
