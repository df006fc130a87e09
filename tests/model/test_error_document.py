"""The error document has one form, in histories, templates and responses."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from orchestrator.model.run import ErrorDocument

JSON = {
    "message": "no stock",
    "error_type": "action_error",
    "details": {"sku": 7},
    "node_id": "reserve",
    "recoverable": False,
    "timestamp": "2026-01-01T00:00:00.250000Z",
}


def test_a_document_is_written_and_read_unchanged() -> None:
    document = ErrorDocument.from_json(JSON)

    assert document.timestamp == datetime(2026, 1, 1, 0, 0, 0, 250_000, UTC)
    assert document.to_json() == JSON
    assert list(document.to_json()) == list(JSON)


def test_no_node_is_null() -> None:
    assert ErrorDocument.from_json({**JSON, "node_id": ""}).to_json()["node_id"] is None
    assert ErrorDocument(message="gone", error_type="cancelled").to_json()["node_id"] is None


def test_an_error_type_that_the_contract_does_not_name_is_unknown() -> None:
    assert ErrorDocument.from_json({**JSON, "error_type": "Boom"}).error_type == "unknown"


def test_a_document_is_frozen() -> None:
    with pytest.raises(ValidationError):
        ErrorDocument.from_json(JSON).message = "other"  # type: ignore[misc]
