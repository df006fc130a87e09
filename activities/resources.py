"""Resources that the actions of a worker share: settings, secrets, HTTP clients and database engines."""

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.addresses import EVERYWHERE, GuardedBackend, Resolve, SystemResolver
from activities.registry import ActionFailed
from activities.secrets import SecretSource, open_secrets
from activities.sql_engines import create_engine
from activities.threads import ThreadPool
from orchestrator.model.permissions import describe_forbidden_host, describe_missing_connection, is_owner
from orchestrator.settings import Settings

BOUND_SECRETS = "orchestrator.secrets"
"""Extension of requests: the secrets they contain that may be sent to some hosts only. Redirects inherit it."""

USER_AGENT = "orchestrator"
MAX_SQL_SESSIONS = 10
"""Sessions that one customer has at once on a named connection; further statements wait."""


class Resources:
    """The shared resources of one worker; clients and engines are created on first use."""

    def __init__(
        self, settings: Settings, resolver: Resolve | None = None, secrets: SecretSource | None = None
    ) -> None:
        self.settings = settings
        self._system_resolver = SystemResolver(settings.max_concurrent_activities)
        self.resolver = resolver or self._system_resolver.resolve
        self.secrets = secrets or open_secrets(settings)
        self.heartbeating = 0
        """Number of running actions that send heartbeats."""
        self.threads = ThreadPool(settings.action_threads)
        """Where actions run that are plain functions."""
        self._http: httpx.AsyncClient | None = None
        self._events: httpx.AsyncClient | None = None
        self._engines: dict[str, AsyncEngine] = {}
        self._sql_slots: dict[tuple[str, str], asyncio.Semaphore] = {}

    @property
    def http(self) -> httpx.AsyncClient:
        """The HTTP client: it ignores proxies and credentials of the environment, and guards addresses."""
        if self._http is None:
            transport = httpx.AsyncHTTPTransport(retries=0)
            # httpx has no public way to set the backend of its pool. The tests of private addresses fail if this stops
            # working.
            pool: Any = transport._pool
            networks = EVERYWHERE if self.settings.http_allow_private else self.settings.networks
            pool._network_backend = GuardedBackend(networks, self.resolver, self.settings.http_blocked_ports)
            self._http = _create_client(transport)
            self._http.event_hooks["request"].append(_check_secret_hosts)
        return self._http

    @property
    def events(self) -> httpx.AsyncClient:
        """The HTTP client for the events service, which may have a private address: settings name it."""
        if self._events is None:
            self._events = _create_client(httpx.AsyncHTTPTransport(retries=0))
            if self.settings.events_key is not None:
                self._events.headers["Authorization"] = f"Bearer {self.settings.events_key.get_secret_value()}"
        return self._events

    def get_engine(self, connection: str, customer_id: str) -> AsyncEngine:
        """Return the engine of a customer's connection; raises ActionFailed if it has none of that name."""
        own = {
            name: each.url
            for name, each in self.settings.sql_connections.items()
            if is_owner(each.customers, customer_id)
        }
        if connection not in own:
            message = describe_missing_connection(connection, own)
            raise ActionFailed(message, error_type="validation_error", recoverable=False)
        if connection not in self._engines:
            self._engines[connection] = create_engine(own[connection].get_secret_value())
        return self._engines[connection]

    def get_sql_slot(self, connection: str, customer_id: str) -> asyncio.Semaphore:
        """Return what limits the sessions of one customer on a named connection."""
        return self._sql_slots.setdefault((connection, customer_id), asyncio.Semaphore(MAX_SQL_SESSIONS))

    async def aclose(self) -> None:
        """Close all clients and engines."""
        for client in (self._http, self._events):
            if client is not None:
                await client.aclose()
        self._http = self._events = None
        self._system_resolver.close()
        for engine in self._engines.values():
            await engine.dispose()
        self._engines.clear()


async def _check_secret_hosts(request: httpx.Request) -> None:
    """Raise ActionFailed where a request, or what a redirect makes of it, would take a secret to another host."""
    host = request.url.raw_host.decode("ascii").strip("[]")
    for secret in request.extensions.get(BOUND_SECRETS, ()):
        if not secret.allows_host(host):
            message = describe_forbidden_host(secret.name, request.url.host)
            raise ActionFailed(message, error_type="validation_error", recoverable=False)


def _create_client(transport: httpx.AsyncHTTPTransport) -> httpx.AsyncClient:
    # The client is shared: a cookie that one customer's request was given must not go out with another's.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        transport=transport, trust_env=False, cookies=no_cookies, headers={"User-Agent": USER_AGENT}
    )
