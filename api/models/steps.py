"""Parameters and bodies of the routes for the steps of runs."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from api.fields import LINE
from api.paging import Page
from orchestrator.model.run import Run, Status, StepDocument
from orchestrator.service.overviews import NodeSummary, PassSummary, StepFilter, StepLine

ITERATION = r"^[^\x00-\x1f\x7f]+\[\d{1,9}\]$"
MAX_ITERATIONS = 20
Iterations = Annotated[
    list[Annotated[str, Field(pattern=ITERATION, max_length=320)]] | None,
    Query(
        alias="iteration",
        max_length=MAX_ITERATIONS,
        description="Of a loop or parallel, only the steps of this iteration or branch: `each[7]`. One for each loop; "
        "steps outside of it are included.",
        examples=["each[7]"],
    ),
]
Order = Annotated[
    Literal["oldest", "newest"], Query(description="Which steps come first; the oldest, unless it is `newest`.")
]


class StepPage(Page[StepDocument]):
    """One page of the steps of a run."""

    complete: bool = Field(True, description="False where a part of the record could not be read: steps are missing.")


def _parse_iterations(wanted: Iterations = None) -> dict[str, int]:
    parts = (each.rpartition("[") for each in wanted or [])
    return {owner: int(index.rstrip("]")) for owner, _, index in parts}


ChosenIterations = Annotated[dict[str, int], Depends(_parse_iterations)]
"""Number of the chosen iteration by the ID of its loop."""


def _make_filter(
    iterations: ChosenIterations,
    step_id: Annotated[str | None, Query(max_length=2000, description="Step ID.")] = None,
    node_id: Annotated[str | None, Query(pattern=LINE, max_length=300, description="Node ID.")] = None,
    status: Annotated[
        list[Status] | None, Query(max_length=8, description="Statuses, of which a step has one.")
    ] = None,
) -> StepFilter:
    return StepFilter(step_id, node_id, frozenset(status or ()), iterations)


Filter = Annotated[StepFilter, Depends(_make_filter)]


class RunOverview(BaseModel):
    """A run with its steps summed up. Only the chosen iterations count, where any are chosen."""

    run: Run = Field(description="The run document without its steps.")
    steps_stored: int = Field(description="Number of steps in the run document; of older ones only counts are kept.")
    steps: list[StepLine] = Field(description="The newest steps, in the order in which they started.")
    next_cursor: str | None = Field(
        None, description="With `order=newest`, the cursor of `GET /runs/{id}/steps` for the steps before these."
    )
    nodes: list[NodeSummary] = Field(description="The steps by node.")
    passes: list[PassSummary] = Field(description="The iterations and branches, by their loop or parallel.")
