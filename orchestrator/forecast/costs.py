"""What each operation of a run adds to its history: the one place with these numbers.

Events and workflow tasks follow from Temporal's rules; `tests/forecast` holds both against recorded histories. Bytes
are those of the events without what they carry (ids, parameters, results), measured on server 1.32.
"""

from dataclasses import dataclass

TASK_EVENTS = 3
"""A workflow task is scheduled, started and completed."""
TASK_BYTES = 245


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation adds."""

    events: int
    """Without those of the workflow tasks."""
    tasks: int
    """Workflow tasks that it causes where nothing else ends at the same time."""
    bytes: int
    """Without those of the workflow tasks, and without what the events carry."""


FLOW = Cost(2, 1, 1_100)
"""A run, a branch or a batch starts and ends; its first workflow task runs all up to the first wait."""
ACTIVITY = Cost(3, 1, 450)
"""Scheduled, started, and completed or failed: earlier attempts are not recorded."""
LOCAL_ACTIVITY = Cost(1, 0, 300)
"""A marker, sent when the workflow task ends that runs it. Its input is not recorded."""
SEGMENT = Cost(1, 0, 300)
"""One marker for all fused actions in it."""
SEGMENT_STEP_BYTES = 40
"""What the marker has of one action beside its result: id and time."""
TIMER = Cost(2, 1, 180)
"""Started and fired."""
LIMIT = Cost(2, 0, 180)
"""A timer that is cancelled in the workflow task that ends what it limits: not started where one task does both."""
SIGNAL = Cost(1, 1, 60)
"""An event arrives."""
SHOWN = Cost(1, 0, 280)
"""What the run waits for changes in its search attributes, in the workflow task that begins the wait or ends it."""
CHILD = Cost(3, 1, 1_700)
"""Initiated, started, and completed or failed. All children that start together add one workflow task."""
CHILDREN_STARTED = Cost(0, 1, 0)
DETACHED_CHILD = Cost(2, 1, 700)
"""Initiated and started: nothing waits for its end."""
YIELD = Cost(2, 1, 150)
"""A short timer that ends a workflow task after much work."""
CONTINUATION = Cost(2, 1, 700)
"""One execution ends as continued, and the next one starts."""
SUGGESTED_EVENTS = 4_096
"""Where Temporal suggests to continue as new, by default."""
SUGGESTED_BYTES = 4 * 1_048_576
