"""The search attributes of a run, by which lists and the Temporal UI filter (SPEC §9). Replay-sensitive."""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo, format_timestamp

WORKFLOW_ID = SearchAttributeKey.for_keyword("OrchestratorWorkflowId")
"""A Temporal workflow is one of this engine's by this attribute; its type is not a sign, see `workflow_types`."""
VERSION = SearchAttributeKey.for_int("OrchestratorVersion")
CUSTOMER_ID = SearchAttributeKey.for_keyword("OrchestratorCustomerId")
TRIGGER = SearchAttributeKey.for_keyword("OrchestratorTrigger")
"""Runs have it, branches do not."""
WAITING = SearchAttributeKey.for_keyword_list("OrchestratorWaiting")
"""What a run or a branch waits for: see `waiting`."""
MOVED_AT = SearchAttributeKey.for_datetime("OrchestratorMovedAt")
"""When that last changed."""
BUSINESS_KEYS = SearchAttributeKey.for_keyword_list("OrchestratorKeys")
"""The business keys of a run, as `name=value`."""
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""Set by Temporal on workflows that a schedule starts."""
FIRST_STARTED_AT = "began"
"""Memo of a run that has continued as new: when its first execution started."""
KEYS: tuple[SearchAttributeKey[Any], ...] = (
    WORKFLOW_ID,
    VERSION,
    CUSTOMER_ID,
    TRIGGER,
    WAITING,
    MOVED_AT,
    BUSINESS_KEYS,
)


def build_search_attributes(plan: Plan, info: RunInfo) -> list[SearchAttributePair[Any]]:
    """Return the attributes of a run."""
    return [*build_branch_attributes(plan, info), SearchAttributePair(TRIGGER, info.trigger_type)]


def build_branch_attributes(plan: Plan, info: RunInfo) -> list[SearchAttributePair[Any]]:
    """Return the attributes of a branch: those of its run without the trigger, so that lists show runs only."""
    return [
        SearchAttributePair(WORKFLOW_ID, plan.id),
        SearchAttributePair(VERSION, plan.version),
        SearchAttributePair(CUSTOMER_ID, info.customer_id),
    ]


def add_scheduled_time(trigger: Any, attributes: TypedSearchAttributes) -> Any:
    """Add the scheduled time to the trigger of a run that a schedule has started."""
    moment = attributes.get(SCHEDULED_AT)
    if moment is None or not isinstance(trigger, dict):
        return trigger
    return {**trigger, "scheduled_at": format_timestamp(moment)}
