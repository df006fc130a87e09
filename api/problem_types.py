"""The types of problems that the API answers with, and the page that each type's URI leads to."""

from dataclasses import dataclass
from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

PREFIX = "/problems"
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem."""

    status: int
    meaning: str
    """What has happened, and what to do about it."""


PROBLEM_TYPES: dict[str, ProblemType] = {
    "json_syntax": ProblemType(400, "The body cannot be read as what it says to be. The detail has the position."),
    "yaml_syntax": ProblemType(400, "The body cannot be read as YAML. The detail has the position."),
    "unauthorized": ProblemType(401, "The request needs a valid API key: `Authorization: Bearer ork_…`."),
    "signature_refused": ProblemType(
        401, "The signature of a webhook request is missing or wrong. Compare scheme, secret and clock with the sender."
    ),
    "forbidden": ProblemType(403, "The API key lacks the scope that this operation requires."),
    "workflow_not_found": ProblemType(404, "There is no such workflow or webhook, or it belongs to another customer."),
    "history_gone": ProblemType(
        410, "Temporal no longer stores the history of the run: it is shown from the archive, and cannot be rerun."
    ),
    "run_not_found": ProblemType(404, "There is no such run, or it belongs to another customer."),
    "delivery_not_found": ProblemType(404, "There is no such delivery, or it belongs to another customer."),
    "key_not_found": ProblemType(404, "There is no such API key."),
    "no_such_address": ProblemType(404, "The API has no such address. `/docs` lists all of them."),
    "method_not_allowed": ProblemType(405, "The address does not accept this method. `Allow` lists those it accepts."),
    "workflow_exists": ProblemType(409, "A workflow with this ID exists already. Save it, or choose another ID."),
    "webhook_taken": ProblemType(409, "Another workflow already uses this webhook path. Choose another path."),
    "operation_refused": ProblemType(
        409, "The current state does not allow the operation. The detail says which does."
    ),
    "bulk_job_not_found": ProblemType(
        404, "There is no such operation on many runs, or it belongs to another customer."
    ),
    "edit_conflict": ProblemType(
        412, "The definition has changed since it was read. Read it again, and apply the change to that."
    ),
    "too_large": ProblemType(413, "The body, or what it decodes to, is too large. Send a reference instead."),
    "unsupported_coding": ProblemType(415, "The content coding of the body is not supported. Use gzip, or none."),
    "bad_request": ProblemType(422, "A field or a parameter is wrong. `errors` lists all of them."),
    "definition_invalid": ProblemType(422, "The definition or the input is not valid. `errors` lists all problems."),
    "bad_cron": ProblemType(422, "The cron expression or its time zone is not valid."),
    "bad_cursor": ProblemType(422, "The cursor is not one that this list has returned as `next_cursor`."),
    "filter_too_wide": ProblemType(422, "The filter would search too many runs. Name a workflow, or a shorter time."),
    "value_refused": ProblemType(422, "The database cannot store a value, such as text with the character NUL."),
    "template_syntax": ProblemType(422, "A template has a syntax error."),
    "execution_error": ProblemType(422, "An expression cannot be evaluated on this data."),
    "condition_error": ProblemType(422, "A condition cannot be evaluated on this data."),
    "too_costly": ProblemType(422, "Checking the request takes more time or memory than it may. Simplify it."),
    "resume_failed": ProblemType(422, "The `resume` of the webhook finds no run for this request."),
    "key_unreadable": ProblemType(422, "The `idempotency_key` of the webhook finds no key in this request."),
    "idempotency_key_reused": ProblemType(
        422, "The idempotency key was used before with other content. Use a new key, or send the same content again."
    ),
    "too_many_requests": ProblemType(429, "There were more requests than allowed. Wait for `Retry-After` seconds."),
    "refused": ProblemType(400, "The request is refused. The detail says why."),
    "internal": ProblemType(500, "The server has failed. Its log says why."),
    "run_failed": ProblemType(502, "The run that the webhook waits for did not complete."),
    "respond_failed": ProblemType(502, "The `respond` of the webhook cannot be made into a response."),
    "busy": ProblemType(503, "The server is busy with earlier requests of this customer. Try again in a moment."),
    "secret_missing": ProblemType(
        503, "The secret of the webhook is not set on this server. Its log names the secret."
    ),
    "secrets_unavailable": ProblemType(503, "The source of secrets does not answer. Try again in a moment."),
    "server_unavailable": ProblemType(503, "Temporal does not answer. Try again in a moment."),
    "store_unavailable": ProblemType(503, "The database does not answer. Try again in a moment."),
    "store_outdated": ProblemType(503, "The database has to be migrated: `orchestrator store migrate`."),
}
"""By code. Any other error is `internal`."""

router = APIRouter(include_in_schema=False)


def find_status(code: str) -> int:
    """Return the HTTP status of an error code."""
    return PROBLEM_TYPES[code].status if code in PROBLEM_TYPES else 500


@router.get(PREFIX)
async def get_problem_types() -> HTMLResponse:
    """List all types."""
    rows = "".join(
        f'<dt><a href="problems/{code}">{code}</a> ({each.status})</dt><dd>{escape(each.meaning)}</dd>'
        for code, each in PROBLEM_TYPES.items()
    )
    return _make_page("Problems", f"<dl>{rows}</dl>")


@router.get(f"{PREFIX}/{{code}}")
async def get_problem_type(code: str) -> HTMLResponse:
    """Describe one type."""
    if code not in PROBLEM_TYPES:
        raise HTTPException(404, "there is no such type of problem")
    each = PROBLEM_TYPES[code]
    body = (
        f'<p>{escape(each.meaning)}</p><p>HTTP status: {each.status}</p><p><a href="../problems">All problems</a></p>'
    )
    return _make_page(code, body)


def _make_page(title: str, body: str) -> HTMLResponse:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    headers = {"Content-Security-Policy": POLICY}
    return HTMLResponse(f"{head}<body><h1>{title}</h1>{body}</body></html>", headers=headers)
