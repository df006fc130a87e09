"""The search attributes of a run: what the Temporal UI and lists filter by (SPEC §9). Replay-sensitive."""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo, format_timestamp

WORKFLOW_ID = SearchAttributeKey.for_keyword("OrchestratorWorkflowId")
VERSION = SearchAttributeKey.for_int("OrchestratorVersion")
CUSTOMER_ID = SearchAttributeKey.for_keyword("OrchestratorCustomerId")
TRIGGER = SearchAttributeKey.for_keyword("OrchestratorTrigger")
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""Set by Temporal on what a schedule starts."""
FIRST_STARTED_AT = "began"
"""Memo of a run that has continued as new: when it began."""
KEYS: tuple[SearchAttributeKey[Any], ...] = (WORKFLOW_ID, VERSION, CUSTOMER_ID, TRIGGER)


def build_search_attributes(plan: Plan, info: RunInfo) -> list[SearchAttributePair[Any]]:
    """Give the attributes of a whole run; branches have none, so that lists show runs only."""
    return [
        SearchAttributePair(WORKFLOW_ID, plan.id),
        SearchAttributePair(VERSION, plan.version),
        SearchAttributePair(CUSTOMER_ID, info.customer_id),
        SearchAttributePair(TRIGGER, info.trigger_type),
    ]


def add_scheduled_time(trigger: Any, attributes: TypedSearchAttributes) -> Any:
    """Add to the trigger of a run that a schedule has started which of its times that was."""
    moment = attributes.get(SCHEDULED_AT)
    if moment is None or not isinstance(trigger, dict):
        return trigger
    return {**trigger, "scheduled_at": format_timestamp(moment)}


WORKFLOW = "Run"
