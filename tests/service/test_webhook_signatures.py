"""Signatures of webhooks, against requests that their senders have published."""

import base64
import gzip
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.secrets import Secret
from orchestrator.model.permissions import SecretInfo
from orchestrator.model.webhook_schemes import SCHEMES
from orchestrator.service.webhooks.request import WebhookRequest, build_trigger_data
from orchestrator.service.webhooks.signatures import (
    SecretMissing,
    SignatureRefused,
    find_signing_keys,
    verify_request,
)

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
STRIPE_BODY = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "ii_123",
      "object": "invoiceitem",
      "amount": 1000,
      "currency": "usd",
      "customer": "cus_123",
      "date": 1533204620,
      "description": "Test Invoice Item",
      "discountable": false,
      "invoice": "in_123",
      "livemode": false,
      "metadata": {},
      "period": {
        "start": 1533204620,
        "end": 1533204620
      },
      "plan": null,
      "proration": false,
      "quantity": null,
      "subscription": null
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "invoiceitem.created"
}
"""
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Example:
    """A request that a sender has published."""

    source: str
    config: Mapping[str, Any]
    secret: str
    headers: Mapping[str, str]
    body: bytes
    sent: int = 0
    """When it was sent, as Unix time in seconds; 0 where the time is not signed."""

    def verify(self, *, seconds_later: int = 0, secrets: tuple[str, ...] = (), **changes: Any) -> str | None:
        now = (datetime.fromtimestamp(self.sent, UTC) if self.sent else NOW) + timedelta(seconds=seconds_later)
        request = make_request(changes.get("body", self.body), {**self.headers, **changes.get("headers", {})})
        keys = make_keys(self.config, *(secrets or (self.secret,)))
        return verify_request(self.config, request, keys, now)


EXAMPLES = {
    "github": Example(
        "docs.github.com, Validating webhook deliveries: Testing the webhook payload validation",
        {"scheme": "github"},
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
    ),
    "stripe": Example(
        "stripe/stripe-dotnet, EventUtilityTest.cs with event_test_signature.json",
        {"scheme": "stripe"},
        "webhook_secret",
        {
            "Stripe-Signature": "t=1533204620,"
            "v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,"
            "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
        },
        STRIPE_BODY,
        1533204620,
    ),
    "slack": Example(
        "docs.slack.dev, Verifying requests from Slack",
        {"scheme": "slack"},
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY,
        1531420618,
    ),
    "shopify": Example(
        "Shopify/shopify-api-php, tests/Webhooks/RegistryTest.php with the secret of tests/BaseTestCase.php",
        {"scheme": "shopify"},
        "steffi",
        {"X-Shopify-Hmac-Sha256": "/Redz4YXHLnSmmSN8grr5/Jl/Ua3d7yX3iWbjb8R8wo="},
        b'{"foo":"bar"}',
    ),
    "standard-webhooks": Example(
        "docs.svix.com, Verifying payloads manually; also the test vector of the Standard Webhooks libraries",
        {"scheme": "standard-webhooks"},
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1614265330,
    ),
    "token": Example(
        "RFC 6750, section 2.1",
        {"scheme": "token"},
        "mF_9.B5f-4.1JqM",
        {"Authorization": "Bearer mF_9.B5f-4.1JqM"},
        b"",
    ),
}

SIGNED = [name for name in EXAMPLES if name != "token"]
TIMED = [name for name, example in EXAMPLES.items() if example.sent]


def make_request(body: bytes, headers: Mapping[str, str]) -> WebhookRequest:
    return WebhookRequest("acme", "POST", "in", {name.lower(): value for name, value in headers.items()}, b"", body)


def make_keys(config: Mapping[str, Any], *secrets: str) -> list[bytes]:
    if SCHEMES[config["scheme"]].secret_encoding == "base64":
        return [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    return [secret.encode() for secret in secrets]


def test_every_scheme_has_a_genuine_example() -> None:
    assert list(EXAMPLES) == list(SCHEMES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_published_request_of_a_sender_is_accepted(name: str) -> None:
    EXAMPLES[name].verify()


@pytest.mark.parametrize("name", EXAMPLES)
def test_another_secret_is_refused(name: str) -> None:
    with pytest.raises(SignatureRefused):
        EXAMPLES[name].verify(secrets=("whsec_c2VjcmV0",))


@pytest.mark.parametrize("name", SIGNED)
def test_another_body_is_refused(name: str) -> None:
    with pytest.raises(SignatureRefused):
        EXAMPLES[name].verify(body=EXAMPLES[name].body + b" ")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_request_without_its_signature_is_refused(name: str) -> None:
    example = EXAMPLES[name]
    bare = make_request(example.body, {})

    with pytest.raises(SignatureRefused, match="missing signature header"):
        verify_request(example.config, bare, make_keys(example.config, example.secret), NOW)


@pytest.mark.parametrize("name", TIMED)
def test_an_old_request_is_refused(name: str) -> None:
    EXAMPLES[name].verify(seconds_later=299)

    with pytest.raises(SignatureRefused, match="more than 300 seconds"):
        EXAMPLES[name].verify(seconds_later=301)


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_of_two_secrets_is_enough_while_they_are_rotated(name: str) -> None:
    example = EXAMPLES[name]

    assert example.verify(secrets=("whsec_c2VjcmV0", example.secret)) == example.verify()


def test_a_sender_that_rotates_its_secret_sends_two_signatures() -> None:
    stripe, standard = EXAMPLES["stripe"], EXAMPLES["standard-webhooks"]
    signature = stripe.headers["Stripe-Signature"].replace("v1=", f"v1={'0' * 64},v1=")
    both = f"v1a,c2ln v1,AAAA {standard.headers['webhook-signature']}"

    stripe.verify(headers={"Stripe-Signature": signature})
    standard.verify(headers={"webhook-signature": both})


def test_a_signature_of_an_older_version_counts_for_nothing() -> None:
    """`v0` of Stripe is a signature of test requests by another secret: it must not be compared as a `v1`."""
    stripe = EXAMPLES["stripe"]
    value = stripe.headers["Stripe-Signature"].replace("v1=", "v9=").replace("v0=", "v1=", 1)

    with pytest.raises(SignatureRefused):
        stripe.verify(headers={"Stripe-Signature": value})


@pytest.mark.parametrize("name", ["github", "slack"])
def test_hexadecimal_digits_are_of_either_case(name: str) -> None:
    example = EXAMPLES[name]
    header = SCHEMES[name].signature_header
    prefix, digits = example.headers[header].split("=")

    again = example.verify(headers={header: f"{prefix}={digits.upper()}"})

    assert again == example.verify(), "the same request in another form must not pass as another one"


@dataclass(frozen=True)
class Form:
    """A request in the general form."""

    config: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    message: bytes = b"x"
    algorithm: str = "sha256"
    body: bytes = b"x"

    def verify(self, template: str, header: str = "X-Orchestrator-Signature") -> str | None:
        digest = hmac.new(b"k", self.message, self.algorithm).digest()
        value = template.format(hex=digest.hex(), base64=base64.b64encode(digest).decode())
        return verify_request(self.config, make_request(self.body, {header: value, **self.headers}), [b"k"], NOW)


@pytest.mark.parametrize(
    ("algorithm", "secret", "message", "digest"),
    [
        # RFC 2202, section 3, test case 2; RFC 4231, section 4.3
        ("sha1", b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            "sha512",
            b"Jefe",
            b"what do ya want for nothing?",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ],
)
def test_other_algorithms_sign_too(algorithm: str, secret: bytes, message: bytes, digest: str) -> None:
    request = make_request(message, {"X-Sign": f"{algorithm}={digest}"})

    verify_request({"algorithm": algorithm, "signature_header": "X-Sign"}, request, [secret], NOW)


UNIX = int(NOW.timestamp())


@pytest.mark.parametrize(
    "sent",
    [f"{UNIX}", f"{UNIX * 1000}", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.250+00:00", "2026-03-01T13:00:00+01:00"],
)
def test_a_time_is_in_seconds_in_milliseconds_or_rfc_3339(sent: str) -> None:
    config = {"signed": "{timestamp}|{body}", "timestamp_header": "X-T"}

    Form(config, {"X-T": sent}, f"{sent}|x".encode()).verify("sha256={hex}")


@pytest.mark.parametrize(
    "sent",
    ["", "nan", "1e9", f"+{UNIX}", f"{UNIX}.0", "2026-03-01T12:00:00", "2026-03-01", f"{UNIX - 301}", f"{UNIX * 10}"],
)
def test_any_other_time_is_refused(sent: str) -> None:
    config = {"signed": "{timestamp}|{body}", "timestamp_header": "X-T"}

    with pytest.raises(SignatureRefused):
        Form(config, {"X-T": sent}, f"{sent}|x".encode()).verify("sha256={hex}")


def test_the_time_may_be_a_key_of_the_signature_header() -> None:
    """As Paddle does: `ts=…;h1=…` signs `ts:body`."""
    config = {
        "signature_header": "Paddle-Signature",
        "signature_prefix": "h1=",
        "timestamp_key": "ts",
        "signed": "{timestamp}:{body}",
    }

    Form(config, {}, f"{UNIX}:x".encode()).verify(f"ts={UNIX};h1={{hex}}", "Paddle-Signature")
    with pytest.raises(SignatureRefused, match="missing timestamp"):
        Form(config, {}, f"{UNIX}:x".encode()).verify("h1={hex}", "Paddle-Signature")


def test_other_headers_may_be_signed() -> None:
    config = {"signed": "{headers.X-Id}.{body}"}

    Form(config, {"X-Id": "7"}, b"7.x").verify("sha256={hex}")
    with pytest.raises(SignatureRefused, match="missing header X-Id"):
        Form(config, {}, b".x").verify("sha256={hex}")


def test_a_signature_may_be_in_base64_of_either_alphabet() -> None:
    message = b"\xff" * 3
    digest = hmac.new(b"k", message, hashlib.sha256).digest()
    for text in (base64.b64encode(digest).decode(), base64.urlsafe_b64encode(digest).decode().rstrip("=")):
        request = make_request(message, {"X-Orchestrator-Signature": text})

        verify_request({"encoding": "base64", "signature_prefix": ""}, request, [b"k"], NOW)


@pytest.mark.parametrize("sent", [f"{UNIX}", f"{UNIX * 1000}", "2026-03-01T12:00:00Z", "2026-03-01 13:00:00.5+01:00"])
@pytest.mark.parametrize("coding", [None, "gzip"])
def test_a_signature_with_a_timestamp_is_not_replayed_without_it(sent: str, coding: str | None) -> None:
    signed = f"{sent}.x".encode()
    Form(headers={"X-Orchestrator-Timestamp": sent}, message=signed).verify("sha256={hex}")
    body, headers = (gzip.compress(signed), {"content-encoding": coding}) if coding else (signed, {})

    with pytest.raises(SignatureRefused, match="begins like a timestamp"):
        Form(headers=headers, message=signed, body=body).verify("sha256={hex}")


def test_a_scheme_can_be_changed_in_part() -> None:
    """Svix sends its own names of the same headers."""
    example = EXAMPLES["standard-webhooks"]
    config = {
        **example.config,
        "signature_header": "svix-signature",
        "timestamp_header": "svix-timestamp",
        "signed": "{headers.svix-id}.{timestamp}.{body}",
    }
    headers = {name.replace("webhook-", "svix-"): value for name, value in example.headers.items()}
    keys = make_keys(example.config, example.secret)

    verify_request(config, make_request(example.body, headers), keys, datetime.fromtimestamp(example.sent, UTC))


def test_a_token_may_be_in_a_header_of_its_own() -> None:
    """docs.gitlab.com, Webhooks: the secret token is sent in `X-Gitlab-Token`."""
    config = {"scheme": "token", "signature_header": "X-Gitlab-Token"}

    assert verify_request(config, make_request(b"x", {"X-Gitlab-Token": "t"}), [b"t"], NOW) is None
    for wrong in ("", "T", "t ", "Bearer t", "tt"):
        with pytest.raises(SignatureRefused):
            verify_request(config, make_request(b"x", {"X-Gitlab-Token": wrong}), [b"t"], NOW)


def test_a_compressed_body_is_signed_before_or_after_its_compression() -> None:
    body = gzip.compress(b"x")
    config = {"signed": "{body}"}
    encoded = {"content-encoding": "gzip"}

    assert Form(config, encoded, b"x", body=body).verify("sha256={hex}")
    assert Form(config, encoded, body, body=body).verify("sha256={hex}")
    with pytest.raises(SignatureRefused):
        Form(config, {}, b"x", body=body).verify("sha256={hex}")


def test_the_signature_of_a_scheme_is_not_passed_to_runs() -> None:
    example = EXAMPLES["shopify"]
    request = make_request(example.body, {**example.headers, "X-Shopify-Topic": "products/update"})

    assert build_trigger_data(request, example.config)["headers"] == {"x-shopify-topic": "products/update"}


class Source:
    """Secrets of one customer."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    async def find(self, customer_id: str, name: str) -> Secret | None:
        value = self.secrets.get(name)
        return None if value is None else Secret(SecretInfo(name, customer_id), value)

    async def list_infos(self, customer_id: str) -> Mapping[str, SecretInfo]:
        return {name: SecretInfo(name, customer_id) for name in self.secrets}


async def test_a_token_is_the_text_of_its_secret() -> None:
    """`secret_encoding` says how a key of an HMAC is written."""
    config = {"scheme": "token", "secret": "{{ secrets.hook }}", "secret_encoding": "hex"}

    assert await find_signing_keys(config, "acme", Source(hook="abcd")) == [b"abcd"]


async def test_an_error_over_a_secret_logs_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    template = "{{ '[\"a\"]' | parse | filter('', 'matches', secrets.hook) }}"

    with pytest.raises(SecretMissing):
        await find_signing_keys({"secret": template}, "acme", Source(hook="hidden(" * 20))

    assert "a pipe cannot take this secret" in caplog.text
    assert "hidden" not in caplog.text


async def test_a_secret_that_is_gone_does_not_stop_the_other_one() -> None:
    config = {"secret": ["{{ secrets.old }}", "{{ secrets.new }}"]}

    assert await find_signing_keys(config, "acme", Source(new="k")) == [b"k"]
    with pytest.raises(SecretMissing):
        await find_signing_keys(config, "acme", Source())


@pytest.mark.parametrize("secret", ["whsec_", "whsec_?", "!"])
async def test_a_secret_that_cannot_be_decoded_verifies_nothing(secret: str) -> None:
    """An empty key would accept what anybody signs."""
    config = {"scheme": "standard-webhooks", "secret": "{{ secrets.hook }}"}

    with pytest.raises(SecretMissing):
        await find_signing_keys(config, "acme", Source(hook=secret))


@pytest.mark.parametrize(
    "info",
    [
        SecretInfo("hook", "*"),
        SecretInfo("hook", "acme", hosts=("api.example.com",)),
        SecretInfo("hook", "acme", actions=("http.request",)),
    ],
    ids=["of all customers", "for some hosts", "for another action"],
)
async def test_a_secret_that_is_not_for_webhooks_verifies_nothing(info: SecretInfo) -> None:
    """Request by request, the answers would tell whether a guess of `{{ secrets.hook | slice(0, 1) }}` is right."""

    class Shared(Source):
        async def find(self, customer_id: str, name: str) -> Secret | None:
            return Secret(info, "k")

    with pytest.raises(SecretMissing):
        await find_signing_keys({"secret": "{{ secrets.hook }}"}, "acme", Shared())
