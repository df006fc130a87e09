"""Bodies of the health checks."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = Field("ok", description="The process answers.")


class Readiness(BaseModel):
    """Whether the dependencies of the service answer."""

    ready: bool = Field(description="Whether requests can be served.")
    checks: dict[str, str] = Field(description="`ok` or an error code, for `temporal` and `database`.")
