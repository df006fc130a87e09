"""Every operation of the API with its arguments, for the generated Python client. `$name` is a value kept before."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A request to an operation."""

    operation: str
    arguments: Mapping[str, Any] = MappingProxyType({})
    body: Any = None
    keeps: str | None = None
    """Name under which the ID in the answer is kept."""
    until: str | None = None
    """Status of a run, for which the request is repeated."""


def define(workflow_id: str, trigger: dict[str, Any], *nodes: dict[str, Any]) -> dict[str, Any]:
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": ids[at], "target": ids[at + 1]} for at in range(len(nodes))]
    return {"id": workflow_id, "name": workflow_id, "trigger": trigger, "nodes": list(nodes), "edges": edges}


END = {"id": "done", "type": "end"}
CALL = {"id": "call", "type": "action", "action": "http.request", "config": {"url": "http://127.0.0.1:1/"}}
FLOW = define("py_flow", {"type": "manual"}, {"id": "hear", "type": "wait", "config": {"event": "go"}}, END)
FAILING = define("py_failing", {"type": "manual"}, CALL | {"on_error": "pause", "retry": {"maximum_attempts": 1}}, END)
NIGHTLY = define("py_nightly", {"type": "schedule", "cron": "0 3 * * *"}, END)
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
HOOKED = define(
    "py_hooked",
    {"type": "webhook", "webhook_path": "py", "config": {"methods": [each.upper() for each in METHODS]}},
    END,
)
ID = {"workflow_id": "py_flow"}
VERSIONED = {**ID, "version": 1}
RUN = {"run_id": "$run"}
SPAN = {"start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-01T06:00:00Z"}
TRIAL = {
    "condition": {"field": "input.total", "operator": "greater_than", "value": 10},
    "context": {"input": {"total": 11}},
}

CALLS = (
    *map(Call, ("getHealth", "headHealth", "getReadiness", "headReadiness", "getMetrics", "getCaller")),
    *map(Call, ("listActions", "getDefinitionSchema", "listFunctions", "listPresets", "listOperators")),
    Call("listVariables", body={"template": "{{ input.name }}"}),
    Call("evaluateCondition", body=TRIAL),
    Call("decodePayloads", body={"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "e30="}]}),
    Call("validateWorkflow", {"at": "/nodes/0/config/event"}, FLOW),
    Call("validateWorkflows", body={"workflows": [FLOW]}),
    Call("layOutDefinition", body=FLOW),
    Call("simulateWorkflow", body={"definition": FLOW, "actions": {"log.message": {"output": {}}}}),
    Call("createWorkflow", body=FLOW),
    Call("saveWorkflow", ID, FLOW | {"description": "changed"}),
    Call("listWorkflows", {"id_prefix": "py_", "limit": 5}),
    Call("activateWorkflow", ID),
    *(
        Call(each, ID)
        for each in (
            "getWorkflow",
            "listVersions",
            "listCallers",
            "compareVersions",
            "getWorkflowStats",
            "drawWorkflow",
        )
    ),
    Call("regressWorkflow", ID, {"last": 5}),
    *(Call(each, VERSIONED) for each in ("getVersion", "drawVersion", "countEdges")),
    Call("rollbackWorkflow", ID, {"version": 1}),
    Call("startRun", {**ID, "idempotency_key": "py-1"}, {"input": {"name": "Ada"}}, keeps="run"),
    *(Call(each, RUN) for each in ("pauseRun", "resumeRun")),
    Call("getRun", RUN, until="waiting"),
    Call("migrateRun", RUN, {"version": 1, "dry_run": True}),
    Call("sendEvent", {**RUN, "name": "go"}, {"by": "Ada"}),
    Call("getRun", RUN, until="completed"),
    *(Call(each, RUN) for each in ("listSteps", "getRunOverview", "streamRun", "drawRun", "explainRun")),
    Call("listRuns", {"limit": 5}),
    *map(Call, ("countRuns", "listStuck")),
    Call("startBulk", body={"operation": "pause", "filter": {"workflow_id": "py_flow"}}, keeps="job"),
    *(Call(each, {"job_id": "$job"}) for each in ("getBulk", "listBulkItems", "stopBulk")),
    Call("rerunRun", RUN, {"from_node": "hear", "dry_run": True}),
    Call("runDefinition", body={"definition": FLOW}, keeps="cancelled"),
    Call("cancelRun", {"run_id": "$cancelled"}),
    Call("runDefinition", body={"definition": FLOW}, keeps="terminated"),
    Call("terminateRun", {"run_id": "$terminated"}, {"reason": "a test"}),
    Call("runDefinition", body={"definition": FAILING}, keeps="resolved"),
    Call("getRun", {"run_id": "$resolved"}, until="waiting"),
    Call("repairRun", {"run_id": "$resolved"}, {"kind": "set_variables", "variables": {"name": "Grace"}}),
    Call("resolveStep", {"run_id": "$resolved"}, {"node_id": "call", "action": "skip"}),
    Call("createWorkflow", body=NIGHTLY),
    *(Call(each, {"workflow_id": "py_nightly"}) for each in ("activateWorkflow", "getSchedule", "triggerSchedule")),
    Call("backfillSchedule", {"workflow_id": "py_nightly"}, SPAN),
    Call("createWorkflow", body=HOOKED),
    Call("activateWorkflow", {"workflow_id": "py_hooked"}),
    *(Call(f"webhook{each.title()}", {"customer": "default", "path": "py"}) for each in METHODS),
    Call("sendEventToWorkflows", body={"name": "py.sent", "data": {"id": 7}}, keeps="delivery"),
    Call("listDeliveries", {"kind": "event"}),
    *(Call(each, {"delivery_id": "$delivery"}) for each in ("getDelivery", "redriveDelivery")),
    Call("redrivePausedDeliveries", body={"workflow_id": "py_hooked"}),
    Call("createKey", body={"name": "py", "scopes": ["read"]}, keeps="key"),
    *map(Call, ("listKeys", "listAudit")),
    *(Call(each, {"key_id": "$key"}) for each in ("rotateKey", "revokeKey")),
    *(Call(each, ID) for each in ("pauseWorkflow", "archiveWorkflow", "deleteWorkflow")),
)
