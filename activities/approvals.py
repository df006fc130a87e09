"""Sign the approval links in the parameters of an action: here, so that no history holds a valid one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from activities.registry import ActionFailed
from orchestrator.language import map_links
from orchestrator.model.activity_input import ActivityInput
from orchestrator.model.approval_links import ApprovalLink
from orchestrator.settings import Settings


def sign_links(call: ActivityInput, settings: Settings) -> tuple[ActivityInput, list[str]]:
    """Return a call with the URLs of its approval links, and their tokens, which must not come back in a result.

    Raises ActionFailed where the settings lack what a link needs.
    """
    tokens: list[str] = []

    def sign(link: Mapping[str, Any]) -> str:
        if settings.approval_secret is None or not settings.public_url:
            name = "ORCHESTRATOR_APPROVAL_SECRET" if settings.approval_secret is None else "ORCHESTRATOR_PUBLIC_URL"
            message = f"cannot make an approval link: {name} is not set for this worker"
            raise ActionFailed(message, error_type="execution_error", recoverable=False)
        made_at = datetime.fromisoformat(link["made_at"])
        named = ApprovalLink(call.run_id, link["node"], link.get("path", ""), link["assignee"], made_at)
        tokens.append(named.sign(settings.approval_secret.get_secret_value()))
        return f"{settings.public_url.rstrip('/')}/approvals/{tokens[-1]}"

    return replace(call, secrets=map_links(call.secrets, sign)), tokens
