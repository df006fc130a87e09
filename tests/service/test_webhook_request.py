"""What a webhook is sent becomes the trigger data of a run: decoded as declared, and without credentials."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from api.routes.triggers import _describe_request
from orchestrator.planner.planner import check
from orchestrator.service.webhooks.body import (
    BodyTooLarge,
    BodyUnreadable,
    CodingUnsupported,
    decode_body,
    decode_query,
    decompress,
)
from orchestrator.service.webhooks.request import WebhookRequest, build_trigger_data, is_credential

FORM = "application/x-www-form-urlencoded"


class CountedHeader(tuple[bytes, bytes]):
    """A raw header that counts how often it is read."""

    reads = 0

    def __iter__(self) -> Iterator[bytes]:
        CountedHeader.reads += 1
        return super().__iter__()


def test_headers_are_joined_in_linear_time() -> None:
    # Each name was looked up among all: 20,000 headers took 18 s on the event loop, before the webhook was looked up.
    raw = [CountedHeader((b"x-%d" % (number // 2), b"%d" % number)) for number in range(2_000)]
    scope = {"type": "http", "method": "POST", "headers": raw, "query_string": b""}

    headers = _describe_request(Request(scope), "default", "in").headers

    assert headers == {f"x-{number}": f"{2 * number}, {2 * number + 1}" for number in range(1_000)}
    assert CountedHeader.reads <= 2 * len(raw)


@pytest.mark.parametrize(
    ("raw", "content_type", "body", "encoding"),
    [
        (b"", "text/plain", None, None),
        (b'{"a": 1}', "application/json", {"a": 1}, "json"),
        (b'\xef\xbb\xbf{"a": 1}', "application/json", {"a": 1}, "json"),
        ('{"a": "ü"}'.encode("latin-1"), "application/json; charset=iso-8859-1", {"a": "ü"}, "json"),
        ('{"a": "ü"}'.encode("utf-16"), "application/vnd.x+json", {"a": "ü"}, "json"),
        (b"[1]", "text/json; charset=utf-8", [1], "json"),
        (b"[1]", "Application/X-JSON", [1], "json"),
        (b"[1]", "application/csp-report", [1], "json"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 2}', "application/json", {"a": 2, "b": {"c": 2}}, "json"),
        (b"a=1&b=x+y&b=2&c=", FORM, {"a": "1", "b": ["x y", "2"], "c": ""}, "form"),
        (b"a=%FC", f"{FORM}; charset=ISO-8859-1", {"a": "ü"}, "form"),
        ("a=ü".encode("latin-1"), f'{FORM}; charset="latin-1"', {"a": "ü"}, "form"),
        (b"a=%83%86", f"{FORM};charset=shift_jis", {"a": "ユ"}, "form"),
        ("ü".encode("latin-1"), "text/plain; charset=latin-1", "ü", "text"),
        ("ü".encode("latin-1"), "text/plain", "\ufffd", "text"),
        ("ü".encode(), "text/plain; charset=no-such-charset", "ü", "text"),
        (b"+2AA-", "text/plain; charset=utf-7", "+2AA-", "text"),  # not a lone surrogate
        (b"<a/>", "application/soap+xml", "<a/>", "text"),
        (b"plain", "application/octet-stream", "cGxhaW4=", "base64"),
        (b"plain", "image/png", "cGxhaW4=", "base64"),
        (b"plain", "multipart/form-data; boundary=x", "cGxhaW4=", "base64"),
        (b"plain", None, "plain", "text"),
        (b"\xff", None, "/w==", "base64"),
    ],
)
def test_bodies_are_read_by_their_content_type(raw: bytes, content_type: str | None, body: Any, encoding: Any) -> None:
    assert decode_body(raw, content_type, None) == (body, encoding)


@pytest.mark.parametrize(
    ("size", "coding", "costly"),
    [(100_000, None, False), (100_001, None, True), (1, " Identity", False), (1, "gzip", True), (1, "br", True)],
)
def test_a_compressed_body_is_costly_whatever_its_size(size: int, coding: str | None, costly: bool) -> None:
    # 1 kB of gzip took half a second to parse, on the event loop.
    headers = {} if coding is None else {"content-encoding": coding}

    assert WebhookRequest("default", "POST", "in", headers, b"", b"x" * size).is_costly is costly


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"a=%FC", FORM),
        (b"a=\xfc", FORM),
        (b"a=%FC", f"{FORM}; charset=us-ascii"),
        (b"&".join([b"a=1"] * 10_001), FORM),
        (b'{"a": "\xfc"}', "application/json"),
        (b'{"a": "\\ud800"}', "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b"[" * 201 + b"]" * 201, "application/json"),
    ],
)
def test_bodies_that_do_not_match_their_type_are_refused(raw: bytes, content_type: str) -> None:
    with pytest.raises(BodyUnreadable):
        decode_body(raw, content_type, None)


def test_the_charset_of_the_webhook_is_the_default() -> None:
    assert decode_body(b"a=%FC", FORM, "iso-8859-1") == ({"a": "ü"}, "form")
    assert decode_body(b"a=%C3%BC", f"{FORM}; charset=utf-8", "iso-8859-1") == ({"a": "ü"}, "form")
    assert decode_body(b"\xfc", None, "iso-8859-1") == ("ü", "text")
    assert decode_query(b"a=%FC&b=%C3%BC", "iso-8859-1") == {"a": "ü", "b": "Ã¼"}
    assert decode_query(b"a=%FC&b=%C3%BC", None) == {"a": "\ufffd", "b": "ü"}


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "proxy-authorization", "cookie", "x-api-key", "apikey", "access_token", "X-Hub-Signature-256",
        "client_secret", "Password", "x-auth", "authKey", "X-Amz-Security-Token", "sig-key-id",
    ],
)  # fmt: skip
def test_credentials_are_recognized_by_their_name(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency_key", "author", "keyword", "content-type", "order"])
def test_other_names_are_not_credentials(name: str) -> None:
    assert not is_credential(name)


def test_trigger_data_holds_no_credentials() -> None:
    headers = {"x-api-key": "s3cret", "x-proof": "s3cret", "x-request-key": "r1", "x-shop": "a"}
    request = WebhookRequest("c", "POST", "orders", headers, b"a=1&token=s3cret&api_key=s3cret", b"")

    data = build_trigger_data(request, {"signature_header": "X-Proof", "idempotency_header": "X-Request-Key"})

    assert data["headers"] == {"x-request-key": "r1", "x-shop": "a"}
    assert data["query"] == {"a": "1"}


@pytest.mark.parametrize(
    ("charset", "refused"), [("iso-8859-1", False), ("no-such", True), ("base64", True), (7, True)]
)
def test_an_unknown_charset_of_a_webhook_is_an_error(charset: Any, refused: bool) -> None:
    definition = {
        "name": "hook",
        "trigger": {"type": "webhook", "webhook_path": "a", "config": {"charset": charset}},
        "nodes": [{"id": "a", "type": "end"}],
        "edges": [{"id": "e", "source": "trigger", "target": "a"}],
    }

    codes = [problem.code for problem in check(definition).problems]

    assert ("bad_charset" in codes) is refused


@pytest.mark.parametrize(
    ("coding", "raw"),
    [
        ("gzip", gzip.compress(b"[1]", mtime=0)),
        ("X-GZip", gzip.compress(b"[", mtime=0) + gzip.compress(b"1]", mtime=0)),
        ("deflate", zlib.compress(b"[1]")),
        ("identity", b"[1]"),
        (None, b"[1]"),
    ],
)
def test_a_compressed_body_is_decompressed(coding: str | None, raw: bytes) -> None:
    assert decompress(raw, coding, 3) == b"[1]"


@pytest.mark.parametrize(
    ("coding", "raw", "error"),
    [
        ("gzip", b"[1]", BodyUnreadable),
        ("gzip", gzip.compress(b"[1]", mtime=0)[:-1], BodyUnreadable),
        ("gzip", gzip.compress(b"[12]", mtime=0), BodyTooLarge),
        ("gzip", gzip.compress(b"0" * 10_000_000, mtime=0), BodyTooLarge),
        ("br", b"[1]", CodingUnsupported),
        ("gzip, gzip", b"[1]", CodingUnsupported),
    ],
)
def test_a_body_that_cannot_be_decompressed_within_its_limit_is_refused(
    coding: str, raw: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        decompress(raw, coding, 3)
