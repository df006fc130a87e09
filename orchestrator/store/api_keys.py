"""API keys: whose they are and what they allow. Of the secret itself only a digest is kept.

A key is `ork_<id>_<secret>`: 256 random bits, so that one round of SHA-256 is enough to keep it.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from orchestrator.errors import OperationRefused, OrchestratorError
from orchestrator.store.database import Database
from orchestrator.store.tables import api_keys

PREFIX = "ork"
KNOWN_SECONDS = 1.0
"""How long another process's change of a key may go unseen."""
MAX_KNOWN = 10_000
SCOPES = ("read", "run", "edit", "admin")
"""Each is its own: `admin` alone allows everything. See the table of routes for what each allows."""


class KeyNotFound(OrchestratorError):
    """There is no such API key."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; times in UTC."""

    id: str
    customer_id: str
    """Empty: an administrator's, for all customers."""
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Tell whether the key opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Keys:
    """The keys of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._configured = False
        self._asked = -KNOWN_SECONDS
        self._rows: dict[str, tuple[float, Any]] = {}

    async def create(
        self, customer_id: str, name: str, scopes: tuple[str, ...], expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; the second value is what is shown once."""
        key = ApiKey(secrets.token_hex(8), customer_id, name, scopes, datetime.now(UTC), expires_at)
        secret = secrets.token_urlsafe(32)
        values = {name: getattr(key, name) for name in ApiKey.__slots__} | {"scopes": list(scopes)}
        async with self.database.write_transaction() as connection:
            await connection.execute(insert(api_keys).values(**values, digest=_compute_digest(secret)))
        self._configured = True
        return key, f"{PREFIX}_{key.id}_{secret}"

    async def verify(self, presented: str) -> ApiKey | None:
        """Find the key that is presented; `None` when it opens nothing."""
        parts = presented.split("_", 2)
        known = len(parts) == 3 and parts[0] == PREFIX and parts[1].isascii() and parts[1].isalnum()
        row = await self._load_row(parts[1] if known else "")
        digest = _compute_digest(parts[2] if known else presented)
        now = datetime.now(UTC)
        # The same work is done for an unknown id: how long it takes tells nothing.
        fits = hmac.compare_digest(digest, row["digest"] if row else _compute_digest(""))
        former = row["former_digest"] if row and row["former_until"] and row["former_until"] > now else None
        fits_former = hmac.compare_digest(digest, former or _compute_digest(""))
        if row is None or not (fits or (former and fits_former)):
            return None
        key = _key_from_row(row)
        return key if key.is_usable(now) else None

    async def rotate(self, key_id: str, former_until: datetime) -> str:
        """Give a key a new secret; the old one opens until a moment. Raises KeyNotFound and OperationRefused."""
        secret = secrets.token_urlsafe(32)
        same = api_keys.c.id == key_id
        async with self.database.write_transaction() as connection:
            # Locked: of two that rotate at once, the second keeps the first's secret as the former one.
            row = (await connection.execute(select(api_keys).where(same).with_for_update())).mappings().first()
            if row is None:
                raise KeyNotFound(f"there is no key {key_id!r}")
            if not _key_from_row(row).is_usable(datetime.now(UTC)):
                why = "is revoked" if row["revoked_at"] else "has expired"
                raise OperationRefused(f"key {key_id!r} {why}: a new secret would open nothing", hint="make a new key")
            changed = {"digest": _compute_digest(secret), "former_digest": row["digest"], "former_until": former_until}
            await connection.execute(update(api_keys).where(same).values(changed))
        self._rows.pop(key_id, None)
        return f"{PREFIX}_{key_id}_{secret}"

    async def revoke(self, key_id: str) -> None:
        """Close a key for ever; raises KeyNotFound."""
        await self._update(key_id, {"revoked_at": datetime.now(UTC)})

    async def list_keys(self, customer_id: str | None = None) -> list[ApiKey]:
        """List keys, the oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if customer_id is not None:
            query = query.where(api_keys.c.customer_id == customer_id)
        async with self.database.read_transaction() as connection:
            return [_key_from_row(row) for row in (await connection.execute(query)).mappings()]

    async def is_configured(self) -> bool:
        """Tell whether there has ever been a key: revoking the last one must not open the doors."""
        if not self._configured and time.monotonic() - self._asked >= KNOWN_SECONDS:
            async with self.database.read_transaction() as connection:
                count = (await connection.execute(select(func.count()).select_from(api_keys))).scalar_one()
            self._configured, self._asked = bool(count), time.monotonic()
        return self._configured

    async def _load_row(self, key_id: str) -> Any:
        """Read a key; what was read a moment ago still holds."""
        known = self._rows.get(key_id)
        if known is not None and time.monotonic() - known[0] < KNOWN_SECONDS:
            return known[1]
        async with self.database.read_transaction() as connection:
            row = (await connection.execute(select(api_keys).where(api_keys.c.id == key_id))).mappings().first()
        if len(self._rows) >= MAX_KNOWN:
            self._rows.clear()
        if row is not None:
            self._rows[key_id] = (time.monotonic(), row)
        return row

    async def _update(self, key_id: str, changed: dict[str, Any]) -> None:
        async with self.database.write_transaction() as connection:
            done = await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(changed))
        self._rows.pop(key_id, None)
        if done.rowcount != 1:
            raise KeyNotFound(f"there is no key {key_id!r}")


def _compute_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key_from_row(row: Any) -> ApiKey:
    return ApiKey(**{**{name: row[name] for name in ApiKey.__slots__}, "scopes": tuple(row["scopes"])})
