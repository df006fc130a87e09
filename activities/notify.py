"""`notify.webhook`: post a message to a webhook, signed if wanted, in the form that Slack accepts."""

import hmac
import json
import time
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from activities.http import Request, request
from activities.registry import URL, ActionContext, action

SIGNATURE_HEADER = "X-Orchestrator-Signature"
TIMESTAMP_HEADER = "X-Orchestrator-Timestamp"


class Notification(BaseModel):
    """Parameters of `notify.webhook`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="URL of the webhook.", min_length=1, json_schema_extra=URL)
    text: str | None = Field(None, description="Message: the key `text` of the body, as Slack expects it.")
    payload: dict[str, Any] = Field({}, description="Additional keys of the body.")
    secret: str | None = Field(None, description="Secret that signs the body: HMAC-SHA256 of `<timestamp>.<body>`.")


class Notified(BaseModel):
    """Result of `notify.webhook`."""

    status: int = Field(description="HTTP status of the response.")


@action("notify.webhook", timeout_seconds=30, heartbeat_seconds=10)
async def post_webhook(parameters: Notification, context: ActionContext) -> Notified:
    """Post a message to a webhook. With `secret`, headers carry a timestamp and the signature `sha256=<hex>`."""
    content = dict(parameters.payload)
    if parameters.text is not None:
        content["text"] = parameters.text
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    headers = {"Content-Type": "application/json"}
    if parameters.secret:
        now = str(int(time.time()))
        headers |= {TIMESTAMP_HEADER: now, SIGNATURE_HEADER: f"sha256={sign(parameters.secret, now, body)}"}
    answer = await request(
        Request(method="POST", url=parameters.url, headers=headers, text=body, follow_redirects=False), context
    )
    return Notified(status=answer.status)


def sign(secret: str, timestamp: str, body: str) -> str:
    """Return the signature of a body: the hexadecimal HMAC-SHA256 of `<timestamp>.<body>`."""
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), sha256).hexdigest()
