"""Restrict the network addresses that actions connect to: public ones, and private ones that settings allow.

A connection goes to the very address that was checked, so a name that resolves differently a moment later (DNS
rebinding) gains nothing. A redirect opens a new connection, which is checked too.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

from activities.registry import ActionFailed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Resolves a host and port to the addresses of the host."""

NAT64 = ip_network("64:ff9b::/96")
DENIED = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's platform address: metadata and health, though it is a public one
            "192.0.0.0/24",
            "192.88.99.0/24",
            "::/96",
            "::ffff:0:0:0/96",
            "64:ff9b:1::/48",
            "3fff::/20",
            "5f00::/16",
            "fec0::/10",
        ),
    )
)
"""Addresses that are not on the public Internet, or wrap others, and that `ipaddress` of some Python calls global."""
EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
RESOLVE_SECONDS = 10.0
"""How long the lookup of a name may take; a system whose name servers do not answer waits for half a minute."""
LOOKUPS_PER_ACTION = 4
"""Lookups that one action can have at once: each is given up after ten seconds, but holds its thread for longer."""
CONNECT_ATTEMPTS = 3
"""Addresses of one host that are tried in turn."""


class SystemResolver:
    """Looks up hosts by the system's resolver, in threads that start on demand and are for lookups only.

    A lookup cannot be stopped. There are threads for all actions of the worker, so that those of one customer whose
    name servers do not answer leave some to the others.
    """

    def __init__(self, actions: int) -> None:
        self._threads = ThreadPoolExecutor(actions * LOOKUPS_PER_ACTION, thread_name_prefix="resolver")

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host; raises ActionFailed if there are none."""
        try:
            addresses = await asyncio.get_running_loop().run_in_executor(
                self._threads, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            )
        except (socket.gaierror, UnicodeError) as error:
            raise ActionFailed(f"cannot resolve host {host!r}: {error}", details={"host": host}) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in addresses))

    def close(self) -> None:
        """Begin no further lookup, without waiting for those that have begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_public(address: Address) -> bool:
    """Return whether an address is on the public Internet; one that wraps another is as public as the inner one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not any(address in network for network in DENIED)


def is_allowed(text: str, networks: Iterable[Network]) -> bool:
    """Return whether an address is public, or in a network that settings allow."""
    try:
        address: Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    return is_public(address) or any(plain in network for network in networks)


def is_of_this_machine(text: str) -> bool:
    """Return whether an address belongs to this machine: only then can a socket be bound to it."""
    address = ip_address(text.partition("%")[0])
    if address.is_loopback or address.is_unspecified:
        return True
    try:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((text, 0))
    except OSError:
        return False
    return True


async def find_allowed_addresses(
    host: str,
    port: int,
    networks: Iterable[Network],
    resolver: Resolve,
    blocked_ports: Collection[int] = (),
    seconds: float = RESOLVE_SECONDS,
) -> list[str]:
    """Return the addresses of a host that actions may connect to; raises ActionFailed if there are none in time."""
    try:
        async with asyncio.timeout(seconds):
            addresses = await resolver(host, port)
    except TimeoutError:
        message = f"the name {host!r:.100} was not resolved within {seconds:g} s"
        raise ActionFailed(message, error_type="timeout_error", details={"host": host}) from None
    if port in blocked_ports and any(is_of_this_machine(address) for address in addresses):
        raise ActionFailed(
            f"port {port} of this machine belongs to a service that actions may not call",
            error_type="validation_error",
            details={"host": host, "port": port},
            recoverable=False,
        )
    allowed = [address for address in addresses if is_allowed(address, networks)]
    if not allowed:
        raise ActionFailed(
            f"{host} has a private address, which actions may not connect to; "
            "to allow it, add its network to ORCHESTRATOR_HTTP_ALLOWED_NETWORKS",
            error_type="validation_error",
            details={"host": host},
            recoverable=False,
        )
    return allowed


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to allowed addresses; TLS still verifies the host's name."""

    def __init__(self, networks: Iterable[Network], resolver: Resolve, blocked_ports: Collection[int] = ()) -> None:
        self.networks = list(networks)
        self.blocked_ports = blocked_ports
        self.resolver = resolver
        self.inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve the host, check its addresses, and connect to one that was checked."""
        addresses = await find_allowed_addresses(
            host.strip("[]"),
            port,
            self.networks,
            self.resolver,
            self.blocked_ports,
            RESOLVE_SECONDS if timeout is None else min(timeout, RESOLVE_SECONDS),
        )
        failure: httpcore.ConnectError | None = None
        for address in addresses[:CONNECT_ATTEMPTS]:
            try:
                return await self.inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"cannot connect to any address of {host}")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: actions have no access to sockets in the file system."""
        raise ActionFailed("actions cannot connect to Unix sockets", recoverable=False)

    async def sleep(self, seconds: float) -> None:
        """Wait between connection attempts."""
        await self.inner.sleep(seconds)
