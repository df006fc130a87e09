"""The Temporal workflow types of runs and branches. Replay-sensitive.

One dynamic workflow class serves all of them, so that Temporal's lists, filters and metrics name the workflow. A type
does not say whose the workflow is: IDs are unique for each customer only. The search attributes do.
"""

BRANCH_SUFFIX = "/branch"
"""No ID of a stored workflow contains a slash."""
RESERVED_PREFIX = "orchestrator."
"""Begins the types of the engine itself; no ID of a stored workflow does."""
UNNAMED = f"{RESERVED_PREFIX}unnamed"
"""Type of the runs of a definition without an ID."""


def name_run_type(workflow_id: str) -> str:
    """Return the type of the runs of a workflow: its ID."""
    return workflow_id or UNNAMED


def name_branch_type(workflow_id: str) -> str:
    """Return the type of the branches of these runs."""
    return f"{name_run_type(workflow_id)}{BRANCH_SUFFIX}"
