"""Addresses that cannot be listened on."""

import socket

import pytest

from api.app import create_metrics_app
from api.serve import AddressInUse, _run_server, bind, serve_metrics


async def test_a_host_that_is_not_a_domain_name_is_an_error_of_the_settings() -> None:
    # Python encodes the name before it looks it up: a UnicodeError, not an OSError.
    with pytest.raises(AddressInUse, match=r"'a\.\.b' is not a host name"):
        async with serve_metrics("a..b:9464"):
            pass


def test_a_free_port_is_kept_until_it_is_served() -> None:
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"cannot listen on 127.0.0.1:{port}"):
            bind("127.0.0.1", port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_a_port_that_another_process_serves_meanwhile_is_an_error() -> None:
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    with bind("127.0.0.1", port) as other:
        async with serve_metrics(f"127.0.0.1:{port}"):
            with pytest.raises(AddressInUse, match=f"cannot listen on 127.0.0.1:{port}"):
                async with _run_server(create_metrics_app(), other):
                    pass


async def test_an_ipv6_address_is_served() -> None:
    try:
        bind("::1", 0).close()
    except AddressInUse as error:
        pytest.skip(f"no IPv6 here: {error}")

    async with serve_metrics("[::1]:0"):
        pass
