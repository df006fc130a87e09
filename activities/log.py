"""`log.message`: write a line to the worker's log."""

import logging
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from activities.registry import ActionContext, action

log = logging.getLogger("orchestrator.model.run")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Message(BaseModel):
    """Parameters of `log.message`."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(description="Text of the line.", max_length=10_000)
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Log level.")


class Logged(BaseModel):
    """Result of `log.message`: an empty object."""


@action("log.message", timeout_seconds=5, execution="local")
async def log_message(parameters: Message, context: ActionContext) -> Logged:
    """Write a line to the worker's log, with the run, workflow, node and customer."""
    extra = {
        "run_id": context.run_id,
        "workflow_id": context.workflow_id,
        "node_id": context.node_id,
        "customer_id": context.customer_id,
    }
    log.log(LEVELS[parameters.level], "%s", context.redact(parameters.message), extra=extra)
    return Logged()
