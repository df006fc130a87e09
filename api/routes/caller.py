"""Say who a request comes from."""

from fastapi import APIRouter

from api.access import KnownCaller
from api.models.keys import CallerView
from api.problems import describe_problems
from orchestrator.store.api_keys import SCOPES

router = APIRouter(tags=["keys"])


@router.get("/caller", operation_id="getCaller", responses=describe_problems(401, 429, 503))
async def get_caller(caller: KnownCaller) -> CallerView:
    """Return the owner of the request's API key, and what the key allows. Needs no scope."""
    scopes = SCOPES if caller.key is None else caller.key.scopes
    return CallerView(name=caller.name, customer_id=caller.customer_id, scopes=list(scopes))
