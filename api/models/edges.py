"""Bodies of the route that counts edges."""

from pydantic import BaseModel, Field


class EdgeCountView(BaseModel):
    """In how many runs a node was left by a port."""

    source: str = Field(description="Node ID.")
    port: str = Field(description="Port that the node was left by; all edges of it were taken.")
    runs: int = Field(description="Number of runs in which it was, once or more.")
    source_runs: int = Field(description="Number of runs in which the node ended.")


class EdgeCountsView(BaseModel):
    """What the last runs of a version took."""

    runs: int = Field(description="Number of runs that were read: the last that completed or failed, 100 at most.")
    edges: list[EdgeCountView] = Field(description="Counts by node and port.")
