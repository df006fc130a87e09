"""Read stored payloads for Temporal's own tools: its Web UI and its command line ask a codec endpoint for them.

The protocol is that of Temporal's remote codecs: `{"payloads": [{"metadata": {name: base64}, "data": base64}]}`.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from orchestrator.temporal.payload_store.references import load_payloads


async def decode_payloads(converter: DataConverter, payloads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return payloads in JSON with the stored ones in place of references.

    Raises ValueError or TypeError where one is invalid, and PayloadUnavailable.
    """
    return [_to_json(payload) for payload in await load_payloads([*map(_from_json, payloads)], converter)]


def _from_json(payload: Mapping[str, Any]) -> Payload:
    metadata = payload.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise TypeError("the metadata of a payload must be an object")
    return Payload(
        metadata={str(name): _decode_base64(value) for name, value in metadata.items()},
        data=_decode_base64(payload.get("data", "")),
    )


def _decode_base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("the parts of a payload must be texts in base 64")
    return b64decode(text, validate=True)


def _to_json(payload: Payload) -> dict[str, Any]:
    metadata = {name: b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": b64encode(payload.data).decode()}
