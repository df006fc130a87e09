"""Decode payloads for Temporal's own tools, which know only the references to those that are stored elsewhere."""

from fastapi import APIRouter

from api.access import Forbidden, Reader
from api.json_bodies import StrictRoute
from api.models.payloads import Payloads
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.temporal.payload_store.codec import decode_payloads

router = APIRouter(tags=["service"], route_class=StrictRoute)
PROBLEMS = describe_problems(400, 401, 403, 404, 413, 422, 429, 503)


@router.post("/codec/decode", operation_id="decodePayloads", responses=PROBLEMS)
async def decode(body: Payloads, services: ServicesDep, caller: Reader) -> Payloads:
    """Return payloads with the stored ones in place of references; others stay as they are.

    The codec endpoint of Temporal's Web UI and command line is `…/api/v1/codec`. For keys without a customer only: a
    payload may be that of any.
    """
    if caller.customer_id is not None:
        raise Forbidden("payloads are of all customers", hint="use an API key without a customer")
    payloads = [each.model_dump(exclude={"externalPayloads"}) for each in body.payloads]
    decoded = await decode_payloads(services.runs.client.data_converter, payloads)
    return Payloads.model_validate({"payloads": decoded})
