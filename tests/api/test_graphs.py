"""Graphs of workflows over HTTP, in each format."""

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError

from orchestrator.drawing.layout import Layout
from orchestrator.service.services import Services
from tests.api.support import SET, WAIT, create_active_workflow, create_workflow, start_run
from tests.temporal.world import make_definition, wait_until

pytestmark = pytest.mark.temporal
MANUAL = {"type": "manual"}
GRAPH = "/workflows/greeting/graph"


def list_ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [box.id for box in Layout.model_validate_json(answer.text).boxes]


async def test_a_workflow_is_drawn_as_mermaid(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "greeting", MANUAL)

    drawn = await api.get(GRAPH)

    assert drawn.headers["content-type"].startswith("text/vnd.mermaid")
    assert drawn.text.startswith("flowchart")


async def test_a_workflow_is_drawn_as_svg(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "greeting", MANUAL)

    picture = await api.get(GRAPH, params={"format": "svg"})

    assert picture.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in picture.headers["content-security-policy"]
    assert [each.get("data-node") for each in ElementTree.fromstring(picture.text).iter() if each.get("data-node")] == [
        "trigger", "a"
    ]  # fmt: skip


async def test_a_workflow_is_laid_out(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "greeting", MANUAL)

    assert list_ids(await api.get(GRAPH, params={"format": "layout"})) == ["trigger", "a"]


@pytest.mark.parametrize("drawing_format", ["png", "json", ""])
async def test_a_workflow_is_not_drawn_in_an_unknown_format(api: httpx.AsyncClient, drawing_format: str) -> None:
    await create_workflow(api, "greeting", MANUAL)

    assert (await api.get(GRAPH, params={"format": drawing_format})).status_code == 422


async def test_a_version_is_drawn_as_it_was_published(api: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "greeting", MANUAL)
    nodes = [{"id": "other", "type": "end"}]
    edges = [{"source": "trigger", "target": "other"}]
    changed = {"id": "greeting", "name": "Greeting", "trigger": MANUAL, "nodes": nodes, "edges": edges}
    assert (await api.put("/workflows/greeting", json=changed)).status_code == 200

    version = await api.get("/workflows/greeting/versions/1/graph", params={"format": "layout"})

    assert list_ids(version) == ["trigger", "keep"]
    assert list_ids(await api.get(GRAPH, params={"format": "layout"})) == ["trigger", "other"]
    assert (await api.get("/workflows/greeting/versions/2/graph")).status_code == 404


async def test_a_graph_is_sent_again_only_after_a_change(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "greeting", MANUAL)
    first = await api.get(GRAPH, params={"format": "layout"})
    known = {"If-None-Match": first.headers["etag"]}

    again = await api.get(GRAPH, params={"format": "layout"}, headers=known)
    other = await api.get(GRAPH, params={"format": "svg"}, headers=known)
    changed = (await api.get("/workflows/greeting")).json() | {"name": "Changed"}
    assert (await api.put("/workflows/greeting", json=changed)).status_code == 200
    later = await api.get(GRAPH, params={"format": "layout"}, headers=known)

    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, later.status_code) == (200, 200)


UNFINISHED: dict[str, Any] = {
    "nodes": [{"id": "a", "type": "action", "name": 7}, {"id": "odd", "type": "looop"}, "no node"],
    "edges": [{"source": "a", "target": "ghost"}, {"source": "trigger", "target": "a"}],
}


async def test_an_unsaved_definition_is_laid_out_as_far_as_it_can_be_read(api: httpx.AsyncClient) -> None:
    answer = await api.post("/workflows/layout", json=UNFINISHED)

    assert list_ids(answer) == ["trigger", "a", "odd", "ghost"]
    assert (await api.get("/workflows")).json()["items"] == []


async def test_an_unsaved_definition_in_yaml_is_laid_out(api: httpx.AsyncClient) -> None:
    text = "nodes: [{id: a, type: end}]\nedges: [{source: trigger, target: a}]\n"

    answer = await api.post("/workflows/layout", content=text, headers={"Content-Type": "application/yaml"})

    assert list_ids(answer) == ["trigger", "a"]


async def test_a_large_graph_is_drawn_in_a_process(api: httpx.AsyncClient) -> None:
    """The renderer of before refused a chain of 400 nodes."""
    ids = ["trigger", *(f"n{number}" for number in range(5_000))]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    body = {"nodes": [{"id": each, "type": "set"} for each in ids[1:]], "edges": edges}

    assert list_ids(await api.post("/workflows/layout", json=body)) == ids


async def test_a_run_without_a_version_is_drawn_from_its_own_plan(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": SET["a"], "b": WAIT}, "trigger -> a", "a -> b")

    graph = await api.get(f"/runs/{run_id}/graph", params={"format": "layout"})

    assert list_ids(graph) == ["trigger", "a", "b"]
    assert (await api.get(f"/runs/{run_id}/graph")).text.startswith("flowchart")
    assert "</svg>" in (await api.get(f"/runs/{run_id}/graph", params={"format": "svg"})).text
    known = {"If-None-Match": graph.headers["etag"]}
    again = await api.get(f"/runs/{run_id}/graph", params={"format": "layout"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")


async def test_a_run_is_drawn_as_its_version_was_published(api: httpx.AsyncClient) -> None:
    """With the descriptions that only the definition has."""
    nodes = [{"id": "wait", "type": "wait", "description": "Until it is paid.", "config": {"event": "paid"}}]
    edges = [{"source": "trigger", "target": "wait"}]
    definition = {"id": "greeting", "name": "Greeting", "trigger": MANUAL, "nodes": nodes, "edges": edges}
    await api.post("/workflows", json=definition)
    await api.post("/workflows/greeting/activate")
    run_id = (await api.post("/workflows/greeting/runs")).json()["id"]
    other = {"nodes": [{"id": "other", "type": "end"}], "edges": [{"source": "trigger", "target": "other"}]}
    assert (await api.put("/workflows/greeting", json=definition | other)).status_code == 200
    assert (await api.post("/workflows/greeting/activate")).status_code == 200

    graph = await api.get(f"/runs/{run_id}/graph", params={"format": "layout"})

    assert [box.description for box in Layout.model_validate_json(graph.text).boxes] == ["", "Until it is paid."]
    assert (await api.delete("/workflows/greeting")).status_code == 204
    assert list_ids(await api.get(f"/runs/{run_id}/graph", params={"format": "layout"})) == ["trigger", "wait"]


async def test_the_graph_of_another_customers_run_is_not_found(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": SET["a"]}, "trigger -> a")

    other = await api.get(f"/runs/{run_id}/graph", params={"customer_id": "somebody-else"})
    missing = await api.get("/runs/no-such-run/graph")

    assert [(each.status_code, each.json()["code"]) for each in (other, missing)] == [(404, "run_not_found")] * 2


@pytest.mark.slow
async def test_a_run_that_temporal_no_longer_stores_is_drawn_from_its_version(
    api: httpx.AsyncClient, services: Services
) -> None:
    await create_active_workflow(api, "greeting", MANUAL)
    run_id = (await api.post("/workflows/greeting/runs", params={"wait": 60})).json()["id"]
    await wait_until(lambda: services.operations.is_recorded(None, run_id))  # a start is written within a second
    execution = WorkflowExecution(workflow_id=run_id)
    client = services.runs.client
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    await client.workflow_service.delete_workflow_execution(request, retry=True)

    async def is_deleted() -> bool:
        try:
            await client.get_workflow_handle(run_id).describe()
        except RPCError:
            return True
        return False

    await wait_until(is_deleted)
    assert list_ids(await api.get(f"/runs/{run_id}/graph", params={"format": "layout"})) == ["trigger", "keep"]


async def test_a_graph_nested_too_deep_is_refused(api: httpx.AsyncClient) -> None:
    nodes = [{"id": f"l{index}", "type": "loop", "body": [f"l{index + 1}"]} for index in range(3_000)]
    refused = await api.post(
        "/workflows/layout", json={"nodes": nodes, "edges": [{"source": "trigger", "target": "l0"}]}
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "operation_refused")
    assert "move parts of it into workflows" in refused.json()["detail"] + str(refused.json().get("hint"))


@pytest.mark.slow  # the archive takes runs up every second
async def test_the_edges_that_the_last_runs_took_are_counted(api: httpx.AsyncClient) -> None:
    large = {"field": "input.amount", "operator": "greater_than", "value": 10}
    nodes = {"large": {"type": "condition", "condition": large}, "yes": SET["a"], "no": SET["a"]}
    definition = make_definition(nodes, "trigger -> large", "large -true-> yes", "large -false-> no") | {"id": "fork"}
    await api.post("/workflows", json=definition)
    await api.post("/workflows/fork/activate")
    path = "/workflows/fork/versions/1/edges"
    assert (await api.get(path)).json() == {"runs": 0, "edges": []}
    for amount in (1, 2, 50):
        answer = await api.post("/workflows/fork/runs", params={"wait": 60}, json={"input": {"amount": amount}})
        assert answer.json()["status"] == "completed"

    async def count() -> dict[str, Any] | None:
        counts = (await api.get(path)).json()
        return counts if counts["runs"] == 3 else None

    counts = await wait_until(count, 90)  # the archive follows within seconds
    assert {"source": "large", "port": "true", "runs": 1, "source_runs": 3} in counts["edges"]
    assert {"source": "large", "port": "false", "runs": 2, "source_runs": 3} in counts["edges"]
    assert {"source": "yes", "port": "next", "runs": 1, "source_runs": 1} in counts["edges"]
    assert (await api.get("/workflows/fork/versions/9/edges")).status_code == 404
