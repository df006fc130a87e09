"""Addresses that cannot be listened on."""

import pytest

from api.serve import AddressInUse, serve_metrics


async def test_a_host_that_is_not_a_domain_name_is_an_error_of_the_settings() -> None:
    # Python encodes the name before it looks it up: a UnicodeError, not an OSError.
    with pytest.raises(AddressInUse, match=r"'a\.\.b' is not a host name"):
        async with serve_metrics("a..b:9464"):
            pass
