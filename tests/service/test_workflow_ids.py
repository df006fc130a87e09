"""IDs of workflows: part of URLs, and Temporal workflow types."""

import pytest

from orchestrator.errors import DefinitionInvalid
from orchestrator.service.plans import normalize


@pytest.mark.parametrize("name", ["order", "order.v2", "Order_flow-3~x", "orchestrator", "x" * 128])
def test_an_id_needs_no_escapes_in_a_url(name: str) -> None:
    assert normalize({"name": "Order"}, name)["id"] == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("orchestrator.archive", "reserved for the engine itself"),
        ("order/branch", "not a valid id"),
        ("an order", "not a valid id"),
        ("x" * 129, "not a valid id"),
    ],
)
def test_an_id_is_no_type_of_the_engine_or_of_branches(name: str, message: str) -> None:
    """The Temporal workflow type of a run is the ID of its workflow."""
    with pytest.raises(DefinitionInvalid, match=message):
        normalize({"name": "Order"}, name)
