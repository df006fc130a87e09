"""The links by which people decide an approval: what they name, signed so that nobody can make one up.

A worker makes them inside the activity that sends them, and the API reads them. No I/O here.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import sha256

from orchestrator.model.run import format_timestamp

PURPOSE = b"approval-link.1\0"
"""Signed with the content, so that the same key can sign other things."""
MAX_TOKEN = 4_000
"""Characters of a token; it is a part of a URL."""


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """What a link names."""

    run_id: str
    node_id: str
    """The `wait` node."""
    path: str
    """Path of the step that sent it; the wait is in the same iteration or branch, or in one around it."""
    assignee: str
    made_at: datetime
    """When that step began, by Temporal's clock: an approval that had ended before is not the one that it is for."""

    def sign(self, key: str) -> str:
        """Return the token of the link, for a URL."""
        content = _encode(json.dumps(self._list_fields(), ensure_ascii=False, separators=(",", ":")).encode())
        return f"{content}.{_encode(_compute_signature(content, key))}"

    def _list_fields(self) -> list[str]:
        *texts, made_at = astuple(self)
        return [*texts, format_timestamp(made_at)]


def parse_token(token: str, key: str) -> ApprovalLink | None:
    """Return the link that a token was made from; `None` where it was not signed with this key."""
    content, _, signature = token.partition(".")
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    if not hmac.compare_digest(signature, _encode(_compute_signature(content, key))):
        return None
    run_id, node_id, path, assignee, made_at = json.loads(urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return ApprovalLink(run_id, node_id, path, assignee, datetime.fromisoformat(made_at))


def _compute_signature(content: str, key: str) -> bytes:
    return hmac.digest(key.encode(), PURPOSE + content.encode(), sha256)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
