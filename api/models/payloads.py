"""Payloads as Temporal's tools exchange them with a codec endpoint."""

import binascii
from base64 import b64decode
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from api.models.base import Model

MAX_PAYLOADS = 1_000


def _require_base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base 64") from None
    return text


Base64 = Annotated[str, AfterValidator(_require_base64)]


class PayloadDocument(Model):
    """A payload of Temporal."""

    metadata: dict[str, Base64] = Field({}, description="What says how the data is encoded; values in base 64.")
    data: Base64 = Field("", description="The data, in base 64.")
    externalPayloads: list[dict[str, Any]] = Field(  # noqa: N815 - Temporal's name
        [], description="Sizes of what a reference is to, as Temporal's tools send them; ignored."
    )


class Payloads(Model):
    """Payloads, as many as one event has."""

    payloads: list[PayloadDocument] = Field(
        max_length=MAX_PAYLOADS,
        examples=[[{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "e30="}]],
        description="The payloads.",
    )
