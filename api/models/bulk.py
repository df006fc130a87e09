"""Bodies of the routes for operations on many runs."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, JsonValue, model_validator

from api.fields import PLAIN, TEXT
from api.models.base import Model, PublishedVersion
from api.models.interventions import MAX_RENAMED, NodeName
from api.models.runs import RunView
from api.run_filters import RunSelection
from orchestrator.model.run import ResolutionAction
from orchestrator.service.bulk import BulkOperation, BulkStatus
from orchestrator.store.run_filter import RunFilter

MAX_IDS = 1_000
MAX_PACE = 100
NEEDED = {"resolve": ("action",), "send": ("event",), "migrate": ("version",)}
"""Fields that an operation needs."""
ALLOWED: dict[str, tuple[str, ...]] = {
    "cancel": ("reason",),
    "terminate": ("reason",),
    "resolve": ("node_id", "action"),
    "rerun": ("from_node", "version"),
    "send": ("event", "payload"),
    "migrate": ("version", "map", "reason"),
}
"""Fields that belong to an operation."""


class BulkFilter(Model, RunSelection):
    """Which runs: the parameters of `GET /runs`, or the runs themselves. At least one field is needed."""

    ids: list[Annotated[str, Field(pattern=PLAIN, max_length=300)]] | None = Field(
        None, min_length=1, max_length=MAX_IDS, description="The runs themselves."
    )

    @model_validator(mode="after")
    def _require_some(self) -> Self:
        if self.make_filter() == RunFilter():
            raise ValueError("select runs by at least one field")
        return self

    def make_filter(self) -> RunFilter:
        """Return the filter of the store."""
        return replace(super().make_filter(), ids=tuple(dict.fromkeys(self.ids or ())))


class BulkRequest(Model):
    """One operation on all runs of a filter."""

    operation: BulkOperation = Field(description="What to do with each run.", examples=["rerun"])
    filter: BulkFilter = Field(description="Which runs.", examples=[{"workflow_id": "greeting", "status": ["failed"]}])
    reason: str = Field("", max_length=1000, pattern=TEXT, description="With `cancel`, `terminate` and `migrate`: why.")
    node_id: str | None = Field(
        None, min_length=1, max_length=300, description="With `resolve`: the node; by default where each run waits."
    )
    action: ResolutionAction | None = Field(None, description="With `resolve`: how to continue.")
    from_node: str | None = Field(
        None, min_length=1, max_length=300, description="With `rerun`: the first node; by default the one that failed."
    )
    version: PublishedVersion | None = Field(
        None, description="With `rerun`: another published version. With `migrate`: the version to move to."
    )
    map: dict[NodeName, NodeName] | None = Field(
        None, max_length=MAX_RENAMED, description="With `migrate`: new IDs of nodes, by the IDs that the runs know."
    )
    event: str | None = Field(None, pattern=PLAIN, max_length=200, description="With `send`: name of the event.")
    payload: JsonValue = Field(None, description="With `send`: payload of the event.")
    pace: int = Field(10, ge=1, le=MAX_PACE, description="Runs a second, at most.")
    dry_run: bool = Field(False, description="Return how many runs match, and the newest, without touching any.")

    @model_validator(mode="after")
    def _require_fields(self) -> Self:
        for name in NEEDED.get(self.operation, ()):
            if getattr(self, name) is None:
                raise ValueError(f"`{self.operation}` needs `{name}`")
        own = {name for names in ALLOWED.values() for name in names}
        foreign = sorted((self.model_fields_set & own) - set(ALLOWED.get(self.operation, ())))
        if foreign:
            raise ValueError(f"`{foreign[0]}` does not belong to `{self.operation}`")
        if self.action == "retry_from":
            raise ValueError("`retry_from` needs a node of one run: resolve such runs one by one")
        return self

    def list_options(self) -> dict[str, Any]:
        """Return the fields of the operation that are set."""
        names = ALLOWED.get(self.operation, ())
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class BulkPreview(BaseModel):
    """What an operation on many runs would do."""

    total: int = Field(description="Number of runs that match.")
    runs: list[RunView] = Field(description="The newest of them.")


class FailedReruns(BaseModel):
    """Reruns that failed again at the same node with the same type of error."""

    node_id: str = Field(description="The node; empty where there is none.")
    error_type: str = Field(description="Type of the error.")
    count: int = Field(description="Number of reruns.")


class BulkView(BaseModel):
    """An operation on many runs, and what came of it so far."""

    id: str = Field(description="ID of the operation.")
    operation: str = Field(description="What is done with each run.")
    filter: dict[str, Any] = Field(description="Which runs; `until` is when the operation started, or earlier.")
    options: dict[str, Any] = Field(description="The other fields of the request.")
    actor: str = Field(description="Who asked for it: the name of the API key.")
    state: str = Field(description="`running`, `completed` or `stopped`.")
    pace: int = Field(description="Runs a second, at most.")
    total: int = Field(description="Number of runs that matched when it started.")
    processed: int = Field(description="Number of runs that have an outcome.")
    outcomes: dict[str, int] = Field(
        description="Number of runs by outcome: `done`, `refused` (the state of the run did not allow it), "
        "`unreachable` (Temporal or its worker did not answer), `failed`."
    )
    reruns: dict[str, int] = Field(description="With `rerun`: number of new runs by the status that they have now.")
    failed_reruns: list[FailedReruns] = Field(description="With `rerun`: where new runs failed again.")
    created_at: datetime = Field(description="When it started.")
    ended_at: datetime | None = Field(description="When it ended.")
    links: dict[str, str] = Field(description="Addresses of the operation: `self` and `items`.")


class BulkItemView(BaseModel):
    """What came of one run."""

    run_id: str = Field(description="Run ID.")
    outcome: str = Field(description="`done`, `refused`, `unreachable` or `failed`.")
    message: str | None = Field(description="Why it was not done.")
    new_run_id: str | None = Field(description="ID of the rerun.")


def make_bulk_view(status: BulkStatus) -> BulkView:
    """Return the view of an operation."""
    job, report = status.job, status.report
    own = f"/api/v1/bulk/{job.id}"
    return BulkView(
        **{
            name: getattr(job, name) for name in ("id", "operation", "actor", "state", "pace", "created_at", "ended_at")
        },
        filter=dict(job.selection),
        options=dict(job.options),
        total=job.total,
        processed=sum(report.outcomes.values()),
        outcomes=dict(report.outcomes),
        reruns=dict(report.reruns),
        failed_reruns=[
            FailedReruns(node_id=node, error_type=kind, count=number) for node, kind, number in report.failed_reruns
        ],
        links={"self": own, "items": f"{own}/items"},
    )
