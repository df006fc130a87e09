"""Which network addresses actions may connect to: public ones, and the private ones that settings allow.

The address that was checked is the address connected to, so a name that changes its mind between the two
(DNS rebinding) gains nothing; redirects connect anew and are checked anew.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

from activities.registry import ActionFailed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to the addresses of the host."""

NAT64 = ip_network("64:ff9b::/96")
CONNECT_ATTEMPTS = 3
"""Addresses of one host that are tried."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host."""
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ActionFailed(f"there is no host {host!r}: {error}", details={"host": host}) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in addresses))


def is_public(address: Address) -> bool:
    """Tell an address on the open Internet; one that wraps another is judged by the inner one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def is_allowed(text: str, networks: Iterable[Network]) -> bool:
    """Tell whether an address is public, or in a network that settings allow."""
    try:
        address: Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    return is_public(address) or any(plain in network for network in networks)


async def find_allowed_addresses(host: str, port: int, networks: Iterable[Network], resolver: Resolve) -> list[str]:
    """Give the addresses of a host that may be called; raises ActionFailed when there is none."""
    addresses = await resolver(host, port)
    allowed = [address for address in addresses if is_allowed(address, networks)]
    if not allowed:
        raise ActionFailed(
            f"{host} is at a private address, which actions may not call: "
            "ORCHESTRATOR_HTTP_ALLOWED_NETWORKS can allow it",
            error_type="validation_error",
            details={"host": host},
            recoverable=False,
        )
    return allowed


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that are allowed; TLS still checks the host's name."""

    def __init__(self, networks: Iterable[Network], resolver: Resolve = resolve) -> None:
        self.networks = list(networks)
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
        """Resolve, check and connect to the very address that was checked."""
        addresses = await find_allowed_addresses(host.strip("[]"), port, self.networks, self.resolver)
        failure: httpcore.ConnectError | None = None
        for address in addresses[:CONNECT_ATTEMPTS]:
            try:
                return await self.inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"no address of {host} answers")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a file of this machine is no place for an action."""
        raise ActionFailed("unix sockets cannot be called", recoverable=False)

    async def sleep(self, seconds: float) -> None:
        """Wait between connection attempts."""
        await self.inner.sleep(seconds)
