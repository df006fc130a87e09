"""Responses of the route for the audit log."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from orchestrator.store.audit import AuditEntry


class AuditView(BaseModel):
    """A change that was made with this API, or by a command in the database."""

    id: str = Field(description="ID of the entry.")
    at: datetime = Field(description="When it was made.")
    actor: str = Field(description="Who made it: the name of the API key, or `local` without one.")
    key_id: str | None = Field(description="ID of the API key.")
    customer_id: str = Field(description="Customer whose resource was changed; empty where it belongs to none.")
    operation: str = Field(description="What was done: the ID of an operation of this API.")
    target: str = Field(description="ID of what was changed: a workflow, a run, a key or a delivery.")
    source: str = Field(description="Address of the client.")
    details: dict[str, Any] = Field(description="More about it, such as the reason, the version, or the run started.")


def make_audit_view(entry: AuditEntry) -> AuditView:
    """Return the view of an entry."""
    return AuditView.model_validate(entry, from_attributes=True)
