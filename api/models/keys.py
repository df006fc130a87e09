"""Bodies of the routes for API keys."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.fields import LINE, UtcTime
from api.models.base import Model
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER
from orchestrator.store.api_keys import ApiKey

Scope = Literal["read", "run", "edit", "admin"]
MAX_GRACE_SECONDS = 365 * 24 * 3600


class KeyRequest(Model):
    """A key to create."""

    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=LINE,
        description="What the key is for. Changes that are made with it carry this name.",
        examples=["ci"],
    )
    scopes: list[Scope] = Field(
        ["read", "run", "edit"],
        min_length=1,
        max_length=4,
        description="What the key allows. Scopes do not include each other; only `admin` allows everything.",
        examples=[["read", "edit"]],
    )
    customer_id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CUSTOMER,
        pattern=CUSTOMER_NAME,
        description="Customer ID. Default: the customer of the caller, or all customers for an administrator.",
    )
    expires_at: UtcTime | None = Field(
        None, description="When the key expires (RFC 3339). Default: never.", examples=["2027-01-31T00:00:00Z"]
    )


class CallerView(BaseModel):
    """The sender of a request."""

    name: str = Field(description="Name of the API key; `local` for a request from this machine without a key.")
    customer_id: str | None = Field(description="Customer of the key; null for an administrator of all customers.")
    scopes: list[Scope] = Field(description="What the key allows.")


class RotateRequest(Model):
    """How long the old secret stays valid."""

    grace_seconds: float = Field(
        24 * 3600,
        ge=0,
        le=MAX_GRACE_SECONDS,
        description="How long the old secret stays valid, in seconds.",
        examples=[3600],
    )


class KeyView(BaseModel):
    """A key, without its secret: only a digest of it is stored."""

    id: str = Field(examples=["5f2b0c9d1a7e4f36"], description="Key ID.")
    name: str = Field(examples=["ci"], description="Name of the key.")
    customer_id: str | None = Field(description="Customer ID; null for an administrator's key to all customers.")
    scopes: list[Scope] = Field(description="What the key allows.")
    created_at: datetime = Field(description="When it was created.")
    expires_at: datetime | None = Field(description="When it expires; null for never.")
    revoked_at: datetime | None = Field(description="When it was revoked; null if it was not.")


class CreatedKey(KeyView):
    """A new key with its secret."""

    secret: str = Field(description="The key to send as `Authorization: Bearer ork_…`. It is not shown again.")


class RotatedKey(BaseModel):
    """The new secret of a key."""

    id: str = Field(description="Key ID.")
    secret: str = Field(description="The key to send as `Authorization: Bearer ork_…`. It is not shown again.")
    former_until: datetime = Field(description="When the old secret becomes invalid.")


def make_key_view(key: ApiKey) -> KeyView:
    """Return the response body of a key."""
    return KeyView.model_validate({name: getattr(key, name) for name in KeyView.model_fields})
