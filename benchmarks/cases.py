"""The same work twice: as a definition, and as a hand-written Temporal workflow."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field
from temporalio import activity, workflow

from activities.registry import action

TIMEOUT = timedelta(seconds=60)
EXAMPLE: dict[str, Any] = {
    "order": 1234,
    "url": "https://crm.example.org/api/v2/customers/48213/activities",
    "json": {"type": "invoice_reminder", "invoice": "2026-04711", "amount": 1299.5, "currency": "EUR"},
    "text": "Reminder sent to the customer by mail; the next one is due in fourteen days.",
}
"""About as much as an HTTP request sends and returns."""
LOCAL = {"execution": "local"}
APART = {"settings": {"fuse": False}}
TEMPLATES = {name: f"{{{{ input.{name} }}}}" for name in EXAMPLE}


class Echo(BaseModel):
    """Parameters and result of the benchmark action."""

    order: int = 0
    url: str = ""
    json_: dict[str, Any] = Field({}, alias="json")
    text: str = ""


@action("bench.echo")
async def echo(parameters: Echo) -> Echo:
    """Return the parameters."""
    return parameters


@activity.defn(name="hand.echo")
async def hand_echo(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters."""
    return parameters


async def run_step(number: int, data: dict[str, Any], *, local: bool = False) -> Any:
    """Call the activity as hand-written code would."""
    start = workflow.execute_local_activity if local else workflow.execute_activity
    return await start(
        "hand.echo", data, start_to_close_timeout=TIMEOUT, activity_id=f"s{number}", summary=f"Step {number}"
    )


@workflow.defn(name="HandSequence", sandboxed=False)
class HandSequence:
    """`count` steps in sequence."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the steps."""
        result: Any = None
        for number in range(request["count"]):
            result = await run_step(number, request["data"])
        return {"output": result}


@workflow.defn(name="HandLocal", sandboxed=False)
class HandLocal:
    """`count` local steps in sequence."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the steps."""
        for number in range(request["count"]):
            await run_step(number, request["data"], local=True)
        return {"output": {}}


@activity.defn(name="hand.chain")
async def hand_chain(count: int, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Do `count` steps and return their results: the best that hand-written code can do with local steps."""
    return [await hand_echo(data) for _ in range(count)]


@workflow.defn(name="HandChain", sandboxed=False)
class HandChain:
    """`count` steps in one local activity."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the steps."""
        await workflow.execute_local_activity(
            "hand.chain",
            args=[request["count"], request["data"]],
            start_to_close_timeout=TIMEOUT,
            activity_id="chain",
            summary="Chain",
        )
        return {"output": {}}


@workflow.defn(name="HandFanOut", sandboxed=False)
class HandFanOut:
    """`count` steps concurrently."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the steps."""
        await asyncio.gather(*(run_step(number, request["data"]) for number in range(request["count"])))
        return {"output": {}}


@workflow.defn(name="HandChildren", sandboxed=False)
class HandChildren:
    """`count` child workflows of one step each, concurrently."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the children."""
        me = workflow.info().workflow_id
        await asyncio.gather(
            *(
                workflow.execute_child_workflow(
                    "HandSequence", {**request, "count": 1}, id=f"{me}/{n}", static_summary=f"Branch {n}"
                )
                for n in range(request["count"])
            )
        )
        return {"output": {}}


WORKFLOWS = [HandSequence, HandLocal, HandChain, HandFanOut, HandChildren]


@dataclass(frozen=True)
class Case:
    """One comparison."""

    kind: Literal["regular", "local", "fused"]
    name: str
    hand: str
    count: int
    definition: dict[str, Any]
    repeats: int
    nodes: int
    """Steps that do work, for figures per node."""
    at_once: int = 1
    runs: int = 1
    """Runs in each measurement."""


def build_call(node_id: str, **more: Any) -> dict[str, Any]:
    """Build a node that calls the activity."""
    return {"id": node_id, "type": "action", "action": "bench.echo", "config": TEMPLATES, **more}


def build_sequence(count: int, **more: Any) -> dict[str, Any]:
    """Build a definition of `count` steps in sequence."""
    ids = [f"s{number}" for number in range(count)]
    edges = [{"source": a, "target": b} for a, b in zip(["trigger", *ids], ids, strict=False)]
    return build_workflow([build_call(node_id, name=f"Step {n}", **more) for n, node_id in enumerate(ids)], edges)


def build_workflow(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[str, Any]:
    """Build a definition."""
    return {"id": "bench", "name": "Bench", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


def build_fan_out(count: int, mode: str, **more: Any) -> dict[str, Any]:
    """Build a definition of `count` branches with one step each."""
    nodes = [build_call(f"s{number}", name=f"Step {number}", **more) for number in range(count)]
    parallel = {
        "id": "fan",
        "type": "parallel",
        "name": "Branch",
        "branches": [[node["id"]] for node in nodes],
        "config": {"mode": mode},
    }
    return build_workflow([parallel, *nodes], [{"source": "trigger", "target": "fan"}])


def build_loop(count: int, **more: Any) -> dict[str, Any]:
    """Build a definition that loops over one step `count` times."""
    each = {"id": "each", "type": "loop", "collection": count, "body": ["step"]}
    return build_workflow([each, build_call("step", name="Step", **more)], [{"source": "trigger", "target": "each"}])


def list_cases(quick: bool) -> list[Case]:
    """Return the comparisons; fewer repeats if `quick`."""
    few, one, two = (1, 1, 1) if quick else (15, 60, 2)
    many = 20 if quick else 1000
    at_once, runs = (4, 4) if quick else (50, 100)
    ten, ten_fused = build_sequence(10), build_sequence(10, **LOCAL)
    fan, children, fan_fused = (
        build_fan_out(20, "inline"), build_fan_out(20, "child"), build_fan_out(20, "inline", **LOCAL)
    )  # fmt: skip
    return [
        Case("regular", "one step", "HandSequence", 1, build_sequence(1), one, 1),
        Case("regular", "ten steps", "HandSequence", 10, ten, few, 10),
        Case("regular", f"ten steps, {at_once} in flight", "HandSequence", 10, ten, two, 10, at_once, runs),
        Case("regular", "20 branches inline", "HandFanOut", 20, fan, few, 20),
        Case("regular", "20 branches as children", "HandChildren", 20, children, few, 20),
        Case("regular", f"loop of {many:,} steps", "HandSequence", many, build_loop(many), two, many),
        Case("local", "ten local steps", "HandLocal", 10, {**ten_fused, **APART}, few, 10),
        Case("fused", "one fused step", "HandChain", 1, build_sequence(1, **LOCAL), one, 1),
        Case("fused", "ten fused steps", "HandChain", 10, ten_fused, few, 10),
        Case("fused", f"ten fused, {at_once} in flight", "HandChain", 10, ten_fused, two, 10, at_once, runs),
        Case("fused", "20 fused branches", "HandChain", 20, fan_fused, few, 20),
        Case("fused", f"loop of {many:,} fused", "HandChain", many, build_loop(many, **LOCAL), two, many),
    ]
