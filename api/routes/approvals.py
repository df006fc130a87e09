"""The page by which people decide approvals. The link is all they need; only POST decides."""

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.approval_page import HEADERS, STATUSES, UNAVAILABLE, UNKNOWN, read_answer, render_message, render_page
from api.limits import TooManyRequests
from api.services import ServicesDep
from orchestrator.errors import ServerUnavailable
from orchestrator.service.approvals import Approval
from orchestrator.service.services import Services
from orchestrator.store.audit import AuditEntry
from orchestrator.store.database import StoreUnavailable

PATH = "/approvals/{token}"
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 200
TOO_LARGE = "The answer is too long."
UNREADABLE = "The answer cannot be read."
TOO_MANY = "Too many requests. Please try again in a minute."
router = APIRouter(include_in_schema=False)


@router.api_route(PATH, methods=["GET", "HEAD"])
async def get_approval_page(token: str, request: Request, services: ServicesDep) -> HTMLResponse:
    """Return the page of an approval; decides nothing, so that link checkers of mail servers do no harm."""
    try:
        await _count(request)
        approval = await services.approvals.open(token)
    except TooManyRequests:
        return _respond_with_text(429, TOO_MANY)
    except (ServerUnavailable, StoreUnavailable):
        return _respond_with_text(503, UNAVAILABLE)
    return _respond(approval, {})


@router.post(PATH)
async def decide_approval(token: str, request: Request, services: ServicesDep) -> HTMLResponse:
    """Decide an approval with the answer of its form."""
    try:
        await _count(request)
        body = await _read_body(request)
        if body is None:
            return _respond_with_text(413, TOO_LARGE)
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        approval = await services.approvals.open(token)
        answer = read_answer(approval, fields)
        if approval.state == "open":
            approval = await services.approvals.decide(token, answer)
        if approval.state == "accepted":
            await _record(request, services, approval)
    except TooManyRequests:
        return _respond_with_text(429, TOO_MANY)
    except (ServerUnavailable, StoreUnavailable):
        return _respond_with_text(503, UNKNOWN)
    except ValueError:
        return _respond_with_text(400, UNREADABLE)
    return _respond(approval, answer)


async def _count(request: Request) -> None:
    await request.app.state.limits.count(f"approvals:{request.client.host if request.client else ''}")


async def _read_body(request: Request) -> bytes | None:
    """Return the body of a form; `None` where it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_FORM_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


async def _record(request: Request, services: Services, approval: Approval) -> None:
    """Record in the audit log who has decided."""
    await services.audit_writer.record(
        AuditEntry(
            actor=approval.assignee,
            key_id=None,
            customer_id=await services.operations.find_owner(approval.run_id),
            operation="decideApproval",
            target=approval.run_id,
            source="" if request.client is None else request.client.host,
            details={"step_id": approval.step_id},
        )
    )


def _respond(approval: Approval, answer: dict[str, object]) -> HTMLResponse:
    return HTMLResponse(render_page(approval, answer), STATUSES[approval.state], headers=HEADERS)


def _respond_with_text(status: int, text: str) -> HTMLResponse:
    return HTMLResponse(render_message(text, ""), status, headers=HEADERS)
