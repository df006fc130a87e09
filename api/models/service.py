"""Bodies of the health checks."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the dependencies of the service answer."""

    ready: bool
    checks: dict[str, str] = Field(description="`ok` or an error code, for `temporal` and `database`.")
