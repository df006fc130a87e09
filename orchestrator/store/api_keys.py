"""API keys and their scopes; only a digest of the secret is stored.

A key is `ork_<id>_<secret>`. The secret has 256 random bits, so a single round of SHA-256 is a sufficient hash.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, select, tuple_, update

from orchestrator.errors import OperationRefused, OrchestratorError
from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.tables import api_keys
from orchestrator.store.ttl_cache import TtlCache

PREFIX = "ork"
CACHE_SECONDS = 1.0
"""How long another process's change of a key may go unseen."""
MAX_CACHED = 10_000
SCOPES = ("read", "run", "edit", "admin")
"""Scopes do not include each other; only `admin` allows everything."""


class KeyNotFound(OrchestratorError):
    """There is no such API key."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; times are in UTC."""

    id: str
    customer_id: str | None
    """`None` for an administrator's key, which is valid for all customers."""
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Keys:
    """The keys of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._rows: TtlCache[str, Any] = TtlCache(MAX_CACHED, CACHE_SECONDS)
        self._configured: TtlCache[str, bool] = TtlCache(1, CACHE_SECONDS)

    @retry_conflicts
    async def create(
        self, customer_id: str | None, name: str, scopes: tuple[str, ...], expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key for a customer, or for administrators; the second value is the full key, shown only once."""
        key = ApiKey(secrets.token_hex(8), customer_id, name, scopes, datetime.now(UTC), expires_at)
        secret = secrets.token_urlsafe(32)
        values = {name: getattr(key, name) for name in ApiKey.__slots__}
        values |= {"customer_id": customer_id or "", "scopes": list(scopes)}
        async with self.database.write_transaction() as connection:
            await connection.execute(insert(api_keys).values(**values, digest=_compute_digest(secret)))
        self._configured.clear()
        return key, f"{PREFIX}_{key.id}_{secret}"

    async def verify(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or `None` if it is not valid."""
        parts = presented.split("_", 2)
        well_formed = len(parts) == 3 and parts[0] == PREFIX and parts[1].isascii() and parts[1].isalnum()
        row = await self._load_row(parts[1] if well_formed else "")
        digest = _compute_digest(parts[2] if well_formed else presented)
        now = datetime.now(UTC)
        # An unknown id takes the same work, so that the response time reveals nothing.
        matches = hmac.compare_digest(digest, row["digest"] if row else _compute_digest(""))
        former = row["former_digest"] if row and row["former_until"] and row["former_until"] > now else None
        matches_former = hmac.compare_digest(digest, former or _compute_digest(""))
        if row is None or not (matches or (former and matches_former)):
            return None
        key = _key_from_row(row)
        return key if key.is_usable(now) else None

    @retry_conflicts
    async def rotate(self, key_id: str, former_until: datetime, customer_id: str | None = None) -> str:
        """Replace the secret of a key; the old one is valid until a time. Raises KeyNotFound and OperationRefused.

        With a customer, the keys of others do not exist.
        """
        secret = secrets.token_urlsafe(32)
        same = _matches(key_id, customer_id)
        async with self.database.write_transaction() as connection:
            # Locked: of two concurrent rotations, the second keeps the secret of the first as the former one.
            row = (await connection.execute(select(api_keys).where(same).with_for_update())).mappings().first()
            if row is None:
                raise KeyNotFound(f"there is no key {key_id!r}")
            if not _key_from_row(row).is_usable(datetime.now(UTC)):
                why = "is revoked" if row["revoked_at"] else "has expired"
                raise OperationRefused(f"key {key_id!r} {why} and cannot be rotated", hint="create a new key")
            changed = {"digest": _compute_digest(secret), "former_digest": row["digest"], "former_until": former_until}
            await connection.execute(update(api_keys).where(same).values(changed))
        self._rows.clear()
        return f"{PREFIX}_{key_id}_{secret}"

    @retry_conflicts
    async def revoke(self, key_id: str, customer_id: str | None = None) -> None:
        """Revoke a key for good; raises KeyNotFound. With a customer, the keys of others do not exist."""
        async with self.database.write_transaction() as connection:
            change = update(api_keys).where(_matches(key_id, customer_id)).values(revoked_at=datetime.now(UTC))
            result = await connection.execute(change)
        self._rows.clear()
        if result.rowcount != 1:
            raise KeyNotFound(f"there is no key {key_id!r}")

    async def list_keys(
        self, customer_id: str | None = None, *, after: Sequence[Any] = (), limit: int | None = None
    ) -> list[ApiKey]:
        """List keys, the oldest first; `after` is `(created_at, id)` of the last one on the page before."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id).limit(limit)
        if customer_id is not None:
            query = query.where(api_keys.c.customer_id == customer_id)
        if after:
            query = query.where(tuple_(api_keys.c.created_at, api_keys.c.id) > tuple_(*after))
        async with self.database.read_transaction() as connection:
            return [_key_from_row(row) for row in (await connection.execute(query)).mappings()]

    async def find_owner(self, key_id: str) -> str | None:
        """Return the customer of a key; `None` for one of an administrator, or of nobody."""
        row = await self._load_row(key_id)
        return None if row is None else row["customer_id"] or None

    async def is_configured(self) -> bool:
        """Return whether a key has ever been created: revoking the last one must not open the API to everybody."""

        async def load() -> bool:
            async with self.database.read_transaction() as connection:
                count = (await connection.execute(select(func.count()).select_from(api_keys))).scalar_one()
            return bool(count)

        return await self._configured.get("", load)

    async def _load_row(self, key_id: str) -> Any:
        """Return the row of a key, or `None`; only rows that exist are cached."""

        async def load() -> Any:
            async with self.database.read_transaction() as connection:
                query = select(api_keys).where(api_keys.c.id == key_id)
                row = (await connection.execute(query)).mappings().first()
            if row is None:
                raise KeyNotFound(f"there is no key {key_id!r}")
            return row

        try:
            return await self._rows.get(key_id, load)
        except KeyNotFound:
            return None


def _matches(key_id: str, customer_id: str | None) -> ColumnElement[bool]:
    same = api_keys.c.id == key_id
    return same if customer_id is None else and_(same, api_keys.c.customer_id == customer_id)


def _compute_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key_from_row(row: Any) -> ApiKey:
    values = {name: row[name] for name in ApiKey.__slots__}
    return ApiKey(**{**values, "customer_id": row["customer_id"] or None, "scopes": tuple(row["scopes"])})
