"""Secrets are found in every form in which they come back."""

import json
import time
from base64 import b64encode, urlsafe_b64encode
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from activities.redaction import Redactor

SECRET = 'p\u00e4$s "w/\u00f6\\r+d \n?~'


def encode_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        SECRET.casefold(),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote(quote(SECRET)),
        quote_plus(SECRET),
        encode_base64(SECRET),
        urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form_is_redacted(form: str) -> None:
    assert Redactor([SECRET]).redact_text(f"<{form}>") == "<[secret]>"


HTML_SECRET = "a&b<c>\"d'é"


@pytest.mark.parametrize(
    "form",
    [
        escape(HTML_SECRET),
        escape(escape(HTML_SECRET)),
        json.dumps(escape(HTML_SECRET)).strip('"').replace("&", "\\u0026"),
        escape(HTML_SECRET).replace("&#x27;", "&apos;").replace("é", "&eacute;"),
        "".join(f"&#{ord(each)};" if not each.isalnum() else each for each in HTML_SECRET),
        "".join(f"&#x0{ord(each):X};" if not each.isalnum() else each for each in HTML_SECRET),
    ],
)
def test_secrets_in_html_are_redacted(form: str) -> None:
    """An error page shows a rejected key as HTML does: `&amp;` for each `&`."""
    assert Redactor([HTML_SECRET]).redact_text(f"<{form}>") == "<[secret]>"


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "abcd"])
def test_base64_of_a_user_and_a_secret_is_redacted(user: str) -> None:
    redacted = Redactor(["s3cret-t0ken"]).redact_text(f"Basic {encode_base64(f'{user}:s3cret-t0ken')}")

    assert redacted.endswith("[secret]")
    assert len(redacted) <= len("Basic [secret]") + len(user) * 4 / 3 + 2


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"a 123456": [123456, 0.5, True, None]}, {"a [secret]": ["[secret]", 0.5, True, None]}),
        ("12345", "12345"),
        (["x\ud800 123456"], ["x? [secret]"]),
    ],
)
def test_values_are_searched_whole(value: Any, redacted: Any) -> None:
    assert Redactor(["123456"]).redact(value) == redacted


def test_short_secrets_are_not_redacted() -> None:
    assert Redactor(["abc"]).redact_text("abc") == "abc"


def test_redaction_takes_linear_time() -> None:
    redactor = Redactor(["a" * 40 + "b", "".join(chr(33 + at % 90) for at in range(4_000))])
    started = time.process_time()

    redactor.redact_text("a" * 1_800_000)

    assert time.process_time() - started < 2
