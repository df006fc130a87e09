"""`http.request` against a real server."""

import asyncio
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from email.utils import formatdate
from typing import Any

import pytest

from activities.addresses import LOOKUPS_PER_ACTION, is_allowed
from tests.activities.conftest import Caller, Web, answer


async def test_json_is_parsed_and_headers_are_lower_case(web: Web, call: Caller) -> None:
    web.routes["/a"] = lambda _: answer(200, {"n": [1]}, X_Kind="test")

    result = await call("http.request", {"url": f"{web.url}/a", "query": {"q": "x y", "none": None, "l": [1, 2]}})

    assert result["status"] == 200
    assert result["body"] == {"n": [1]}
    assert result["headers"]["x-kind"] == "test"
    assert web.seen[0].query == {"q": ["x y"], "l": ["1", "2"]}


async def test_a_text_body_is_text_and_an_empty_one_is_null(web: Web, call: Caller) -> None:
    web.routes["/t"] = lambda _: answer(200, b"hello", kind="text/plain")
    web.routes["/n"] = lambda _: answer(204)
    web.routes["/bad"] = lambda _: answer(200, b"{no json")

    assert (await call("http.request", {"url": f"{web.url}/t"}))["body"] == "hello"
    assert (await call("http.request", {"url": f"{web.url}/n"}))["body"] is None
    assert (await call("http.request", {"url": f"{web.url}/bad"}))["body"] == "{no json"


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ({"json": {"a": 1}}, b'{"a":1}', "application/json"),
        ({"text": "plain"}, b"plain", None),
        ({"form": {"a": 1, "b": "x y"}}, b"a=1&b=x+y", "application/x-www-form-urlencoded"),
    ],
)
async def test_bodies(web: Web, call: Caller, body: dict[str, Any], sent: bytes, kind: str | None) -> None:
    web.routes["/p"] = lambda _: answer()

    await call("http.request", {"method": "post", "url": f"{web.url}/p", **body})

    assert web.seen[0].body == sent
    assert web.seen[0].headers.get("content-type") == kind


@pytest.mark.parametrize(("method", "has_key"), [("POST", True), ("PATCH", True), ("GET", False), ("PUT", False)])
async def test_post_and_patch_carry_the_idempotency_key(web: Web, call: Caller, method: str, has_key: bool) -> None:
    web.routes["/p"] = lambda _: answer()

    await call("http.request", {"method": method, "url": f"{web.url}/p"})

    assert web.seen[0].headers.get("idempotency-key") == ("r:n" if has_key else None)


async def test_an_idempotency_key_in_headers_is_kept(web: Web, call: Caller) -> None:
    web.routes["/p"] = lambda _: answer()

    await call("http.request", {"method": "POST", "url": f"{web.url}/p", "headers": {"idempotency-KEY": "mine"}})

    assert web.seen[0].headers["idempotency-key"] == "mine"


async def test_authorization(web: Web, call: Caller) -> None:
    web.routes["/p"] = lambda _: answer()

    await call("http.request", {"url": f"{web.url}/p", "auth": {"token": "t0k"}})
    await call("http.request", {"url": f"{web.url}/p", "auth": {"username": "u", "password": "p"}})

    assert [seen.headers["authorization"] for seen in web.seen] == ["Bearer t0k", "Basic dTpw"]


@pytest.mark.parametrize(
    ("status", "retried"),
    [
        (400, False), (401, False), (404, False), (409, False),
        (408, True), (425, True), (429, True), (500, True), (503, True),
    ],
)  # fmt: skip
async def test_only_some_statuses_are_retried(web: Web, call: Caller, status: int, retried: bool) -> None:
    web.routes["/s"] = lambda _: answer(status, {"why": "x"})

    failure = await call.failure("http.request", {"url": f"{web.url}/s"})

    assert failure.type == "action_error"
    assert failure.non_retryable is not retried
    assert failure.details[0]["details"] == {"status": status, "body": '{"why": "x"}'}


@pytest.mark.parametrize(
    ("expected", "status", "fine"),
    [(404, 404, True), ([200, 404], 404, True), ("4xx", 418, True), (["2xx", 302], 302, True), (201, 200, False)],
)
async def test_expected_statuses(web: Web, call: Caller, expected: Any, status: int, fine: bool) -> None:
    web.routes["/s"] = lambda _: answer(status)
    parameters = {"url": f"{web.url}/s", "expected_status": expected, "follow_redirects": False}

    if fine:
        assert (await call("http.request", parameters))["status"] == status
    else:
        assert (await call.failure("http.request", parameters)).details[0]["details"]["status"] == status


async def test_retry_after_is_the_next_delay(web: Web, call: Caller) -> None:
    web.routes["/seconds"] = lambda _: answer(429, Retry_After="7")
    web.routes["/date"] = lambda _: answer(503, Retry_After=formatdate(time.time() + 3_000, usegmt=True))
    web.routes["/forever"] = lambda _: answer(503, Retry_After="999999999")
    web.routes["/junk"] = lambda _: answer(503, Retry_After="soon")

    delays = [
        (await call.failure("http.request", {"url": f"{web.url}/{path}"})).next_retry_delay
        for path in ("seconds", "date", "forever", "junk")
    ]

    seconds = [None if delay is None else delay.total_seconds() for delay in delays]
    assert [seconds[0], *seconds[2:]] == [7, 3600, None]
    assert seconds[1] is not None
    assert 2_700 < seconds[1] <= 3_000, "some time has passed since the date was written"


async def test_a_response_over_the_limit_fails(web: Web, make_caller: Any) -> None:
    web.routes["/big"] = lambda _: answer(200, b"x" * 5000, kind="text/plain")

    failure = await make_caller(http_max_response_bytes=1000).failure("http.request", {"url": f"{web.url}/big"})

    assert failure.non_retryable
    assert failure.details[0]["details"]["limit"] == 1000


async def test_silence_is_a_timeout(web: Web, call: Caller) -> None:
    async def never(_: object) -> bytes:
        await asyncio.sleep(60)
        return b""

    web.routes["/slow"] = never

    failure = await call.failure("http.request", {"url": f"{web.url}/slow", "timeout_seconds": 0.1})

    assert failure.type == "timeout_error"
    assert not failure.non_retryable


async def test_a_refused_connection_is_retried(call: Caller) -> None:
    failure = await call.failure("http.request", {"url": "http://127.0.0.1:9/"})

    assert failure.type == "action_error"
    assert not failure.non_retryable


@pytest.mark.parametrize(
    "parameters",
    [
        {"url": "ftp://example.org/"},
        {"url": "not a url"},
        {"url": "http://"},
        {"url": "file:///etc/passwd"},
        {"url": "http://x/", "method": "FETCH"},
        {"url": "http://x/", "json": {}, "text": ""},
        {"url": "http://x/", "heders": {}},
        {"url": "http://x/", "headers": {"a": "x\r\ny: z"}},
        {"url": "http://x/", "headers": {"a": "x\0"}},
        {"url": "http://x/", "headers": {"a": "Gr\u00fc\u00dfe"}},
        {"url": "http://x/", "headers": {"a b": "x"}},
        {"url": "http://x/", "auth": {"token": "x\n"}},
        {"url": "http://x/", "headers": {"Host": "inner"}},
        {"url": "http://x/", "headers": {"content-Length": "0"}},
        {"url": "http://x/", "headers": {"Transfer-Encoding": "chunked"}},
        {"url": "http://x/", "headers": {"Connection": "close"}},
        {},
    ],
)
async def test_invalid_parameters_are_not_retried(call: Caller, parameters: dict[str, Any]) -> None:
    failure = await call.failure("http.request", parameters)

    assert failure.type == "validation_error"
    assert failure.non_retryable


# Responses that go wrong: each of these failed the run, made the call again, or held the worker up.


def nest(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("body", "parsed", "warned"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, False),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}, False),
        (b'{"a": NaN}', '{"a": NaN}', True),
        (b'{"a": -Infinity}', '{"a": -Infinity}', True),
        (b'{"a": 1e400}', '{"a": 1e400}', True),
        (b"9" * 5000, "9" * 5000, True),
        (b'{"a": "\\ud800", "\\udfff": 1}', {"a": "\ufffd", "\ufffd": 1}, True),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}, False),
        (nest(199), None, False),
    ],
)
async def test_bodies_that_json_cannot_hold(web: Web, call: Caller, body: bytes, parsed: Any, warned: bool) -> None:
    web.routes["/b"] = lambda _: answer(200, body)

    result = await call("http.request", {"url": f"{web.url}/b"})

    assert ("$warnings" in result) is warned
    result = result["result"] if warned else result
    assert parsed is None or result["body"] == parsed


@pytest.mark.parametrize("levels", [200, 300, 5_000, 100_000])
async def test_a_response_nested_too_deeply_is_not_asked_for_again(web: Web, call: Caller, levels: int) -> None:
    """The server has done its work: a POST went out three times because its answer could not be written."""
    web.routes["/deep"] = lambda _: answer(200, nest(levels))

    failure = await call.failure("http.request", {"method": "POST", "url": f"{web.url}/deep"})

    assert failure.type == "action_error"
    assert failure.non_retryable


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("iso-8859-1", "Gr\u00fc\u00dfe".encode("latin-1"), "Gr\u00fc\u00dfe"),
        ("no-such-charset", "Gr\u00fc\u00dfe".encode(), "Gr\u00fc\u00dfe"),
        ("base64", b"hello", "hello"),
        ("idna", b"hello", "hello"),
    ],
)
async def test_text_is_decoded_by_its_charset(web: Web, call: Caller, charset: str, body: bytes, text: str) -> None:
    web.routes["/t"] = lambda _: answer(200, body, kind=f"text/plain; charset={charset}")

    assert (await call("http.request", {"url": f"{web.url}/t"}))["body"] == text


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_one_coding_is_decoded(web: Web, call: Caller, coding: str, encode: Any) -> None:
    web.routes["/z"] = lambda _: answer(200, encode(b'{"a": 1}'), Content_Encoding=coding)

    assert (await call("http.request", {"url": f"{web.url}/z"}))["body"] == {"a": 1}
    assert web.seen[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("status", [200, 302])
async def test_a_body_coded_twice_is_not_decoded(web: Web, call: Caller, status: int) -> None:
    """1,305 bytes, gzipped twice, took 16 s and gigabytes; the body of a redirect is not read at all."""
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    web.routes["/z"] = lambda _: answer(status, bomb, Content_Encoding="gzip, gzip", Location=f"{web.url}/end")
    web.routes["/end"] = lambda _: answer(200, {"end": True})

    tracemalloc.start()
    try:
        if status == 302:
            assert (await call("http.request", {"url": f"{web.url}/z"}))["body"] == {"end": True}
        else:
            assert (await call.failure("http.request", {"url": f"{web.url}/z"})).non_retryable
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000


async def test_decoding_stops_at_the_limit(web: Web, make_caller: Any) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    web.routes["/z"] = lambda _: answer(200, bomb, Content_Encoding="gzip")
    call = make_caller(http_max_response_bytes=1000)

    tracemalloc.start()
    failure = await call.failure("http.request", {"url": f"{web.url}/z"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert failure.details[0]["details"]["limit"] == 1000
    assert peak < 10_000_000


async def test_a_coded_body_that_is_cut_fails(web: Web, call: Caller) -> None:
    web.routes["/z"] = lambda _: answer(200, gzip.compress(b'{"a": 1}')[:-4], Content_Encoding="gzip")

    failure = await call.failure("http.request", {"url": f"{web.url}/z"})

    assert "gzip-compressed response is truncated" in str(failure)
    assert not failure.non_retryable


@pytest.mark.parametrize("rest", [b"", b"\0" * 9_000, b"more"])
async def test_all_members_of_gzip_are_decoded(web: Web, call: Caller, rest: bytes) -> None:
    """Only the first was, without an error: `cat a.gz b.gz` has two (RFC 1952, 2.2). zlib ends at each."""
    text = "".join(str(number) for number in range(9_000))
    body = gzip.compress(text[:10].encode()) + gzip.compress(b"") + gzip.compress(text[10:].encode()) + rest
    web.routes["/z"] = lambda _: answer(200, body, kind="text/plain", Content_Encoding="gzip")

    assert (await call("http.request", {"url": f"{web.url}/z"}))["body"] == text


async def test_members_of_gzip_share_the_limit(web: Web, make_caller: Any) -> None:
    member = gzip.compress(b"x" * 600)
    web.routes["/z"] = lambda _: answer(200, member * 2, Content_Encoding="gzip")
    web.routes["/cut"] = lambda _: answer(200, member + member[:-4], Content_Encoding="gzip")
    call, strict = make_caller(), make_caller(http_max_response_bytes=1000)

    assert len((await call("http.request", {"url": f"{web.url}/z"}))["body"]) == 1200
    assert "1,000 bytes" in str(await strict.failure("http.request", {"url": f"{web.url}/z"}))
    assert "truncated" in str(await call.failure("http.request", {"url": f"{web.url}/cut"}))


async def test_cookies_are_not_kept(web: Web, call: Caller) -> None:
    """All customers share one client: the session of one must not be used by another."""
    web.routes["/c"] = lambda _: answer(200, Set_Cookie="session=a")

    await call("http.request", {"url": f"{web.url}/c"})
    await call("http.request", {"url": f"{web.url}/c"})

    assert "cookie" not in web.seen[1].headers


# Private addresses.


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "168.63.129.16", "::8.8.8.8", "::ffff:0:8.8.8.8", "fec0::1", "3fff::1", "5f00::1", "64:ff9b:1::1",
        "192.0.0.9", "192.0.0.192", "192.88.99.1", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "198.18.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "nonsense",
    ],
)  # fmt: skip
def test_private_addresses_are_recognised(address: str) -> None:
    assert not is_allowed(address, [])


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_recognised(address: str) -> None:
    assert is_allowed(address, [])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "127.1"]
)
async def test_private_hosts_are_refused(web: Web, make_caller: Any, host: str) -> None:
    port = web.url.rpartition(":")[2]

    failure = await make_caller(http_allowed_networks=()).failure("http.request", {"url": f"http://{host}:{port}/a"})

    assert failure.type == "validation_error"
    assert failure.non_retryable
    assert web.seen == []


async def test_a_redirect_to_a_private_address_is_refused(web: Web, make_caller: Any) -> None:
    """The first host resolves to an allowed address, the second to one that is not."""
    addresses = {"public.test": "127.0.0.1", "inner.test": "127.9.9.9"}

    async def resolve(host: str, port: int) -> list[str]:
        return [addresses[host]]

    port = web.url.rpartition(":")[2]
    web.routes["/go"] = lambda _: answer(302, Location=f"http://inner.test:{port}/secret")
    web.routes["/secret"] = lambda _: answer(200, {"secret": 1})
    call = make_caller(resolve, http_allowed_networks=("127.0.0.1/32",))

    failure = await call.failure("http.request", {"url": f"http://public.test:{port}/go"})

    assert failure.type == "validation_error"
    assert [seen.path for seen in web.seen] == ["/go"]


async def test_the_address_that_was_checked_is_the_one_called(web: Web, make_caller: Any) -> None:
    """A host is resolved once, so a different second answer has no effect."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    port = web.url.rpartition(":")[2]
    web.routes["/a"] = lambda request: answer(200, {"host": request.headers["host"]})
    call = make_caller(resolve, http_allowed_networks=("127.0.0.1/32",))

    result = await call("http.request", {"url": f"http://twice.test:{port}/a"})

    assert result["body"] == {"host": f"twice.test:{port}"}
    assert asked == ["twice.test"]


async def test_a_host_with_public_and_private_addresses_is_called_at_the_allowed_one(
    web: Web, make_caller: Any
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "127.0.0.1"]

    port = web.url.rpartition(":")[2]
    web.routes["/a"] = lambda _: answer(200)
    call = make_caller(resolve, http_allowed_networks=("127.0.0.1/32",))

    assert (await call("http.request", {"url": f"http://both.test:{port}/a"}))["status"] == 200


async def test_endless_redirects_fail(web: Web, call: Caller) -> None:
    web.routes["/loop"] = lambda _: answer(302, Location="/loop")

    failure = await call.failure("http.request", {"url": f"{web.url}/loop"})

    assert failure.non_retryable
    assert len(web.seen) == 6


async def test_credentials_do_not_follow_to_another_host(web: Web, make_caller: Any) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    port = web.url.rpartition(":")[2]
    web.routes["/go"] = lambda _: answer(302, Location=f"http://other.test:{port}/end")
    web.routes["/end"] = lambda _: answer(200)

    await make_caller(resolve)("http.request", {"url": f"http://one.test:{port}/go", "auth": {"token": "t0ken"}})

    assert web.seen[0].headers["authorization"] == "Bearer t0ken"
    assert "authorization" not in web.seen[1].headers


async def test_a_name_server_that_does_not_answer_fails_the_attempt_in_time(make_caller: Any) -> None:
    # The lookup was outside every time limit but that of the step.
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    call = make_caller(resolver=never)
    async with asyncio.timeout(60):
        failure = await call.failure("http.request", {"url": "http://slow.example/", "timeout_seconds": 0.1})

    assert (failure.type, failure.non_retryable) == ("timeout_error", False)
    assert failure.message == "the name 'slow.example' was not resolved within 0.1 s"


async def test_lookups_of_all_actions_but_one_leave_it_a_thread(
    monkeypatch: pytest.MonkeyPatch, make_caller: Any
) -> None:
    """Sixteen lookups of one customer, whose name servers did not answer, held up those of all others."""
    answer = threading.Event()

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if host == "slow.example":
            answer.wait(120)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolve = make_caller(max_concurrent_activities=40).resources.resolver
    try:
        lookups = [asyncio.create_task(resolve("slow.example", 80)) for _ in range(40 * LOOKUPS_PER_ACTION - 1)]
        await asyncio.sleep(0)  # all have begun
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(str, 1) == "1"
            assert await resolve("fast.example", 80) == ["203.0.113.1"]
    finally:
        answer.set()
    await asyncio.gather(*lookups)
