"""Plans as a worker reads them, with what is compiled of them: shared by the runs of a version and their segments.

Replay-sensitive.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.interpreter.compiled import Compiled
from orchestrator.model.plan import Plan
from orchestrator.temporal.requests import validate_plan

SMALL_PLANS = 32
LARGE_PLANS = 2
"""Plans that a worker keeps."""
SMALL_BYTES = 131_072
"""Of the JSON of a small plan: in memory it is 12 times as large."""


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """A plan, and what the runs of it have compiled so far."""

    plan: Plan
    compiled: Compiled
    text: bytes | None
    """The plan as JSON; `None` where it was sent in one with the state of a run that continues."""


def read_known_plan(sent: Any) -> KnownPlan:
    """Return the plan of a request, or of a segment: as text, or decoded; raises what `validate_plan` raises."""
    if not isinstance(sent, bytes):
        return KnownPlan(validate_plan(sent), Compiled(), None)
    return _keep_small(sent) if len(sent) <= SMALL_BYTES else _keep_large(sent)


def _parse_plan(text: bytes) -> KnownPlan:
    return KnownPlan(validate_plan(json.loads(text)), Compiled(), text)


_keep_small = lru_cache(SMALL_PLANS)(_parse_plan)
_keep_large = lru_cache(LARGE_PLANS)(_parse_plan)
