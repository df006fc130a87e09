"""Secrets belong to customers and may be bound to hosts: others cannot tell that they exist."""

import json
import threading
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from activities import secrets as secrets_module
from activities.secrets import Secret, SecretsUnavailable, SettingsSecrets, open_secrets
from orchestrator import settings as settings_module
from orchestrator.errors import SettingsError
from orchestrator.model.permissions import SecretInfo, describe_missing_secret
from orchestrator.settings import PREFIX, Settings
from tests.activities.conftest import Caller, Web, answer

TOKEN, OTHER, SHARED = "t0ken-of-c", "t0ken-of-evil", "t0ken-of-all"
OF_CUSTOMERS = {
    "c": {"token": TOKEN, "bound": {"value": TOKEN, "hosts": ["127.0.0.1"]}, "known": None},
    "evil": {"token": OTHER, "theirs": OTHER},
    "*": {"token": SHARED, "shared": SHARED},
}


def write_secrets(tmp_path: Path, content: Any = OF_CUSTOMERS) -> dict[str, Any]:
    path = tmp_path / "secrets.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return {"secrets_file": path}


def read_value(secret: Secret | None) -> str | None:
    return None if secret is None else secret.value


@pytest.fixture
def secret_caller(make_caller: Any, tmp_path: Path) -> Caller:
    caller: Caller = make_caller(**write_secrets(tmp_path))
    return caller


def use(name: str, *, at: str = "/headers/x-key") -> dict[str, Any]:
    return {at: [{"secret": name}]}


@pytest.mark.parametrize(
    ("customer", "name", "value"),
    [
        ("c", "token", TOKEN),
        ("evil", "token", OTHER),
        ("c", "shared", SHARED),
        ("default", "token", SHARED),
        ("c", "theirs", None),
        ("*", "theirs", None),
        ("", "theirs", None),
        ("c", "known", None),
    ],
)
async def test_a_customer_finds_its_own_secrets_and_the_shared_ones(
    tmp_path: Path, customer: str, name: str, value: str | None
) -> None:
    source = SettingsSecrets(Settings(**write_secrets(tmp_path)))

    assert read_value(await source.find(customer, name)) == value


async def test_secrets_of_the_environment_belong_to_the_default_customer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SECRET_TOKEN", "from the environment")
    monkeypatch.setenv("ORCHESTRATOR_SECRET_EMPTY", "")
    bound_here = {"default": {"token": {"value": "from the file", "hosts": ["a.example"]}}}
    source = SettingsSecrets(Settings(**write_secrets(tmp_path, bound_here)))

    found = await source.find("default", "token")

    assert (read_value(found), found and found.info.hosts) == ("from the environment", ("a.example",))
    assert await source.find("acme", "token") is None
    assert await source.find("default", "empty") is None


async def test_the_file_is_read_again_when_it_changes_and_kept_while_it_is_invalid(tmp_path: Path) -> None:
    settings = Settings(**write_secrets(tmp_path))
    source = SettingsSecrets(settings)

    write_secrets(tmp_path, {"c": {"token": "rotated, and longer"}})
    assert read_value(await source.find("c", "token")) == "rotated, and longer"
    write_secrets(tmp_path, "{")
    assert read_value(await source.find("c", "token")) == "rotated, and longer"


async def test_a_secret_too_short_to_sign_with_is_known_as_such(tmp_path: Path) -> None:
    content = {"c": {"weak": "fifteen-letters", "strong": "sixteen-letters!", "known": None}}
    settings = Settings(**write_secrets(tmp_path, content))

    assert [info.name for info in await SettingsSecrets(settings).list_secrets() if info.is_short] == ["weak"]


def test_a_secret_is_not_shown() -> None:
    assert TOKEN not in repr(Secret(SecretInfo("token", "c"), TOKEN))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, " cannot be read: No such file or directory"),
        ('{"token": secret', " is not valid JSON"),
        ("[]", ' must hold a JSON object, such as {"acme": {"crm_token": "…"}}'),
        (
            {"token": "s3cret"},
            ': \'token\' must be a customer with an object of secrets, such as {"acme": {"crm_token": "…"}}',
        ),
        ({"c": {"t": 5}}, ": the secret 't' of 'c' must be text or {value, hosts, actions}, not a number"),
        ({"c": {"t": {"value": ["s3cret"]}}}, ": the secret 't' of 'c'/value must be text"),
        ({"c": {"t": {"valeu": "s3cret"}}}, ": the secret 't' of 'c'/valeu is not a known field"),
        (
            {"c": {"t": {"value": "s3cret", "hosts": ["https://a.example"]}}},
            ": the secret 't' of 'c'/hosts must be names of hosts without scheme and port, such as api.example.com or "
            "*.example.com",
        ),
    ],
)
def test_a_secrets_file_that_cannot_be_read_is_explained(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "secrets.json"
    if content is not None:
        write_secrets(tmp_path, content)

    with pytest.raises(SettingsError) as refusal:
        open_secrets(Settings(secrets_file=path))
    assert refusal.value.message == f"{PREFIX}SECRETS_FILE: {path}{message}"
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        (["api.example.com"], "api.example.com", True),
        (["api.example.com"], "API.example.com.", True),
        (["API.Example.com"], "api.example.com", True),
        (["api.example.com"], "api.example.com.evil.net", False),
        (["api.example.com"], "xapi.example.com", False),
        (["*.example.com"], "a.b.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "evilexample.com", False),
        (["bücher.example"], "xn--bcher-kva.example", True),
        (["::1"], "::1", True),
        ([], "api.example.com", False),
        (None, "anything.example", True),
    ],
)
async def test_hosts_bind_a_secret(tmp_path: Path, hosts: list[str] | None, host: str, allowed: bool) -> None:
    source = SettingsSecrets(Settings(**write_secrets(tmp_path, {"c": {"t": {"value": "v", "hosts": hosts}}})))
    (info,) = await source.list_secrets()

    assert info.allows_host(host) is allowed


async def test_a_secret_of_another_customer_reads_like_one_that_does_not_exist(secret_caller: Caller) -> None:
    theirs = await secret_caller.failure("http.request", {"url": None}, secrets=use("theirs", at="/url"))
    nobodys = await secret_caller.failure("http.request", {"url": None}, secrets=use("nowhere", at="/url"))

    assert theirs.message == describe_missing_secret("theirs", "c")
    assert theirs.message.replace("theirs", "nowhere") == nobodys.message
    assert (theirs.type, theirs.non_retryable) == ("validation_error", True)


@pytest.mark.parametrize("expression", ["secrets", "secrets | json", "secrets | keys | first", "secrets | values"])
async def test_all_secrets_together_are_refused_in_a_run_too(secret_caller: Caller, expression: str) -> None:
    """A worker trusts no plan: one of a release before this rule may still run."""
    failure = await secret_caller.failure(
        "log.message", {"message": None}, secrets={"/message": [{"expression": expression}]}
    )

    assert failure.message == "all secrets together cannot be used"
    assert failure.non_retryable


async def test_a_bound_secret_is_sent_to_its_hosts_only(secret_caller: Caller, web: Web) -> None:
    web.routes["/in"] = lambda _: answer(200, {})
    parameters = {"url": f"{web.url}/in", "headers": {"x-key": None}}
    elsewhere = {**parameters, "url": f"{web.url.replace('127.0.0.1', 'localhost')}/in"}

    await secret_caller("http.request", parameters, secrets=use("bound"))
    refused = await secret_caller.failure("http.request", elsewhere, secrets=use("bound"))
    await secret_caller("http.request", elsewhere, secrets=use("token"))

    assert refused.message == "the secret 'bound' may not be sent to localhost: this host is not in its `hosts`"
    assert (refused.type, refused.non_retryable) == ("validation_error", True)
    assert [seen.headers["x-key"] for seen in web.seen] == [TOKEN, TOKEN]


async def test_a_bound_secret_follows_no_redirect_to_another_host(secret_caller: Caller, web: Web) -> None:
    other = web.url.replace("127.0.0.1", "localhost")
    web.routes["/go"] = lambda _: answer(307, Location=f"{other}/in")
    web.routes["/in"] = lambda _: answer(200, {})
    parameters = {"url": f"{web.url}/go", "method": "POST", "json": {"key": None}}

    refused = await secret_caller.failure("http.request", parameters, secrets=use("bound", at="/json/key"))

    assert refused.message.startswith("the secret 'bound' may not be sent to localhost")
    assert [seen.path for seen in web.seen] == ["/go"]


async def test_a_bound_secret_cannot_be_part_of_a_foreign_host(secret_caller: Caller) -> None:
    """Looking up the name of a host tells its owner what is in it."""
    secrets = {"/url": ["http://", {"secret": "bound"}, ".evil.example/"]}

    refused = await secret_caller.failure("http.request", {"url": None}, secrets=secrets)

    assert (
        refused.message
        == "the secret 'bound' may not be sent to [secret].evil.example: this host is not in its `hosts`"
    )


async def test_a_webhook_signs_with_a_bound_secret_for_its_hosts_only(secret_caller: Caller, web: Web) -> None:
    web.routes["/hook"] = lambda _: answer(200, {})
    good = {"url": f"{web.url}/hook", "text": "hi", "secret": None}
    bad = {**good, "url": f"{web.url.replace('127.0.0.1', 'localhost')}/hook"}

    await secret_caller("notify.webhook", good, secrets=use("bound", at="/secret"))
    refused = await secret_caller.failure("notify.webhook", bad, secrets=use("bound", at="/secret"))

    assert refused.message.startswith("the secret 'bound' may not be sent to localhost")
    assert len(web.seen) == 1


@pytest.mark.parametrize(
    ("rule", "action", "allowed"),
    [
        ({"hosts": ["a.example"]}, "http.request", True),
        ({"hosts": ["a.example"]}, "log.message", False),
        ({"hosts": ["a.example"], "actions": ["log.message"]}, "log.message", True),
        ({"hosts": ["a.example"], "actions": ["log.message"]}, "http.request", False),
        ({"actions": ["http.request"]}, "log.message", False),
        ({}, "log.message", True),
        ({}, "event.emit", False),
        ({"hosts": ["a.example"]}, "event.emit", False),
        ({"actions": ["event.emit"]}, "event.emit", True),
    ],
)
async def test_actions_and_hosts_decide_which_actions_get_a_secret(
    make_caller: Any, tmp_path: Path, rule: dict[str, Any], action: str, allowed: bool
) -> None:
    call = make_caller(**write_secrets(tmp_path, {"c": {"t": {"value": TOKEN, **rule}}}))
    info = (await call.resources.secrets.list_secrets())[0]

    assert info.allows_action(action) is allowed
    if action == "log.message" and allowed:
        await call(action, {"message": None}, secrets=use("t", at="/message"))
    elif action == "log.message":
        refused = await call.failure(action, {"message": None}, secrets=use("t", at="/message"))
        assert refused.message.startswith("the secret 't' may not be given to log.message")
        assert refused.non_retryable


class Vault:
    """A source of secrets as a package offers it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def find(self, customer_id: str, name: str) -> Secret | None:
        if name == "sealed":
            raise SecretsUnavailable
        return Secret(SecretInfo(name, customer_id), f"{name} of {customer_id}") if name == "token" else None

    async def list_secrets(self) -> list[SecretInfo]:
        return [SecretInfo("token", "acme")]


async def test_an_entry_point_serves_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("vault", f"{__name__}:Vault", secrets_module.ENTRY_POINTS)
    monkeypatch.setattr(secrets_module, "entry_points", lambda **chosen: EntryPoints([point]).select(**chosen))

    source = open_secrets(Settings(secret_source="vault"))

    assert read_value(await source.find("acme", "token")) == "token of acme"
    with pytest.raises(SettingsError, match="no installed package has an entry point 'valt'"):
        open_secrets(Settings(secret_source="valt"))


async def test_an_attempt_is_repeated_where_the_vault_does_not_answer(make_caller: Any) -> None:
    call = make_caller(secrets=Vault(Settings()))

    failure = await call.failure("log.message", {"message": None}, secrets=use("sealed", at="/message"))

    assert "The source of secrets does not answer" in failure.message
    assert not failure.non_retryable


async def test_a_connection_of_another_customer_reads_like_one_that_does_not_exist(make_caller: Any) -> None:
    call = make_caller(
        sql_connections={
            "mine": {"url": "sqlite+aiosqlite://", "customers": ["c"]},
            "theirs": {"url": "sqlite+aiosqlite://", "customers": ["evil"]},
            "shared": {"url": "sqlite+aiosqlite://", "customers": ["*"]},
            "of the default customer": "sqlite+aiosqlite://",
        }
    )

    failures = {
        name: await call.failure("sql.query", {"connection": name, "statement": "SELECT 1"})
        for name in ("theirs", "of the default customer", "nowhere")
    }

    assert {name: failure.message.replace(f"{name!r}", "?") for name, failure in failures.items()} == dict.fromkeys(
        failures,
        "there is no connection ? in ORCHESTRATOR_SQL_CONNECTIONS for this customer (it has: mine, shared)",
    )
    for name in ("mine", "shared"):
        assert (await call("sql.query", {"connection": name, "statement": "SELECT 1 AS one"}))["rows"] == [{"one": 1}]


async def test_no_file_is_read_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each request to a webhook finds its secret: a slow disk would stop the whole service.
    files = write_secrets(tmp_path)
    source = SettingsSecrets(Settings(**files))
    readers: list[threading.Thread] = []

    def record(function: Any) -> Any:
        def call(*args: Any) -> Any:
            readers.append(threading.current_thread())
            return function(*args)

        return call

    for module, name in (
        (secrets_module, "_read_stamp"),
        (secrets_module, "read_secrets_file"),
        (settings_module, "dotenv_values"),
    ):
        monkeypatch.setattr(module, name, record(getattr(module, name)))
    found = [await source.find("c", "token")]
    write_secrets(tmp_path, {"c": {"token": "another-value"}})
    found.append(await source.find("c", "token"))

    assert [read_value(secret) for secret in found] == [TOKEN, "another-value"]
    assert len(readers) == 3, "twice whether the file has changed, and once the file; `.env` is read at start only"
    assert threading.current_thread() not in readers
