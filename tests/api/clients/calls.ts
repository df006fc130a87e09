// Calls every operation of the API by a generated client. Prints what was called, as a list of `METHOD /path`.
// Usage: node calls.js URL KEY
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Definition = components["schemas"]["Definition"];
type Node = NonNullable<Definition["nodes"]>[number];

const [baseUrl = "", key = ""] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${key}` } });
const called = new Set<string>();
api.use({ onRequest: ({ request, schemaPath }) => void called.add(`${request.method} ${schemaPath}`) });

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Return the content of an answer; an error ends the program. */
async function expectContent<Data>(pending: Promise<Answer<Data>>): Promise<NonNullable<Data>> {
  const { data } = await expectSuccess(pending);
  if (data === undefined || data === null) throw new Error("the answer has no content");
  return data;
}

async function expectSuccess<Data>(pending: Promise<Answer<Data>>): Promise<Answer<Data>> {
  const answer = await pending;
  const { response, error } = answer;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`);
  return answer;
}

function define(id: string, trigger: Definition["trigger"], ...nodes: Node[]): Definition {
  const ids = ["trigger", ...nodes.map((node) => node.id ?? "")];
  const edges = nodes.map((_, at) => ({ source: ids[at] ?? "", target: ids[at + 1] ?? "" }));
  return { id, name: id, trigger, nodes, edges };
}

async function waitForStatus(runId: string, status: string): Promise<void> {
  for (const deadline = Date.now() + 150_000; Date.now() < deadline; ) {
    const run = await expectContent(api.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: runId } } }));
    if (run.status === status) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`run ${runId} is not ${status}`);
}

async function runDefinition(definition: Definition): Promise<string> {
  const started = await expectContent(api.POST("/api/v1/runs", { body: { definition } }));
  return started.id;
}

async function callService(): Promise<void> {
  await expectContent(api.GET("/healthz"));
  await expectSuccess(api.HEAD("/healthz"));
  await expectContent(api.GET("/readyz"));
  await expectSuccess(api.HEAD("/readyz"));
  await expectContent(api.GET("/metrics", { parseAs: "text" }));
  await expectContent(api.GET("/api/v1/caller"));
}

async function callBuilder(): Promise<void> {
  await expectContent(api.GET("/api/v1/actions"));
  await expectContent(api.GET("/api/v1/schema"));
  await expectContent(api.GET("/api/v1/functions"));
  await expectContent(api.GET("/api/v1/conditions/operators", { params: { query: { type: "number" } } }));
  await expectContent(api.GET("/api/v1/conditions/presets"));
  await expectContent(api.POST("/api/v1/variables", { body: { template: "{{ input.name }}" } }));
  const condition = { field: "input.total", operator: "greater_than", value: 10 };
  const payloads = [{ metadata: { encoding: "anNvbi9wbGFpbg==" }, data: "e30=" }];
  await expectContent(api.POST("/api/v1/codec/decode", { body: { payloads } }));
  await expectContent(api.POST("/api/v1/conditions/evaluate", { body: { condition, context: { input: { total: 11 } } } }));
}

async function callWorkflows(flow: Definition): Promise<void> {
  const params = { path: { workflow_id: "ts_flow" } };
  const versioned = { path: { workflow_id: "ts_flow", version: 1 } };
  await expectContent(api.POST("/api/v1/workflows/validate", { params: { query: { at: "/nodes/0" } }, body: flow }));
  await expectContent(api.POST("/api/v1/workflows/validate-all", { body: { workflows: [{ ...flow }] } }));
  await expectContent(api.POST("/api/v1/workflows/simulate", { body: { definition: flow, actions: {}, events: [] } }));
  await expectContent(api.POST("/api/v1/workflows/layout", { body: flow }));
  await expectContent(api.POST("/api/v1/workflows", { body: flow }));
  await expectContent(api.PUT("/api/v1/workflows/{workflow_id}", { params, body: { ...flow, description: "changed" } }));
  const listed = await expectContent(api.GET("/api/v1/workflows", { params: { query: { id_prefix: "ts_", limit: 5 } } }));
  if (listed.items[0]?.id !== "ts_flow") throw new Error("the list lacks the workflow");
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/activate", { params }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}", { params }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/versions", { params }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/versions/{version}", { params: versioned }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/diff", { params }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/callers", { params }));
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/regress", { params, body: { version: 1, last: 5 } }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/stats", { params }));
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/graph", { params, parseAs: "text" }));
  await expectContent(
    api.GET("/api/v1/workflows/{workflow_id}/versions/{version}/graph", { params: versioned, parseAs: "text" }),
  );
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/versions/{version}/edges", { params: versioned }));
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/rollback", { params, body: { version: 1 } }));
}

async function callRuns(flow: Definition, failing: Definition): Promise<void> {
  const started = await expectContent(
    api.POST("/api/v1/workflows/{workflow_id}/runs", {
      params: { path: { workflow_id: "ts_flow" }, header: { "idempotency-key": "ts-1" } },
      body: { input: { name: "Ada" } },
    }),
  );
  const params = { path: { run_id: started.id } };
  await expectSuccess(api.POST("/api/v1/runs/{run_id}/pause", { params }));
  await expectSuccess(api.POST("/api/v1/runs/{run_id}/resume", { params }));
  await waitForStatus(started.id, "waiting");
  await expectContent(api.POST("/api/v1/runs/{run_id}/migrate", { params, body: { version: 1, dry_run: true } }));
  const event = { path: { run_id: started.id, name: "go" } };
  await expectSuccess(api.POST("/api/v1/runs/{run_id}/events/{name}", { params: event, body: { by: "Ada" } }));
  await waitForStatus(started.id, "completed");
  await expectContent(api.GET("/api/v1/runs/{run_id}/steps", { params }));
  await expectContent(api.GET("/api/v1/runs/{run_id}/overview", { params }));
  await expectContent(api.GET("/api/v1/runs/{run_id}/stream", { params, parseAs: "text" }));
  await expectContent(api.GET("/api/v1/runs/{run_id}/graph", { params, parseAs: "text" }));
  await expectContent(api.GET("/api/v1/runs/{run_id}/explain", { params }));
  await expectContent(api.GET("/api/v1/runs", { params: { query: { limit: 5 } } }));
  await expectContent(api.GET("/api/v1/runs/counts"));
  await expectContent(api.GET("/api/v1/stuck"));
  const job = await expectContent(
    api.POST("/api/v1/bulk", { body: { operation: "pause", filter: { workflow_id: "ts_flow" } } }),
  );
  if (!("id" in job)) throw new Error("not a dry run");
  const operation = { path: { job_id: job.id } };
  await expectContent(api.GET("/api/v1/bulk/{job_id}", { params: operation }));
  await expectContent(api.GET("/api/v1/bulk/{job_id}/items", { params: operation }));
  await expectSuccess(api.POST("/api/v1/bulk/{job_id}/stop", { params: operation }));
  await expectContent(api.POST("/api/v1/runs/{run_id}/rerun", { params, body: { from_node: "hear", dry_run: true } }));
  const [cancelled, terminated, resolved] = [
    await runDefinition(flow),
    await runDefinition(flow),
    await runDefinition(failing),
  ];
  await expectSuccess(api.POST("/api/v1/runs/{run_id}/cancel", { params: { path: { run_id: cancelled } } }));
  await expectSuccess(
    api.POST("/api/v1/runs/{run_id}/terminate", {
      params: { path: { run_id: terminated } },
      body: { reason: "a test" },
    }),
  );
  await waitForStatus(resolved, "waiting");
  await expectContent(
    api.POST("/api/v1/runs/{run_id}/interventions", {
      params: { path: { run_id: resolved } },
      body: { kind: "set_variables", variables: { name: "Grace" } },
    }),
  );
  await expectContent(
    api.POST("/api/v1/runs/{run_id}/resolve", {
      params: { path: { run_id: resolved } },
      body: { node_id: "call", action: "skip" },
    }),
  );
}

async function callTriggers(nightly: Definition, hooked: Definition): Promise<void> {
  for (const definition of [nightly, hooked]) {
    await expectContent(api.POST("/api/v1/workflows", { body: definition }));
    const params = { path: { workflow_id: definition.id ?? "" } };
    await expectContent(api.POST("/api/v1/workflows/{workflow_id}/activate", { params }));
  }
  const params = { path: { workflow_id: "ts_nightly" } };
  await expectContent(api.GET("/api/v1/workflows/{workflow_id}/schedule", { params }));
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/schedule/trigger", { params }));
  await expectContent(
    api.POST("/api/v1/workflows/{workflow_id}/schedule/backfill", {
      params,
      body: { start_at: "2026-01-01T00:00:00Z", end_at: "2026-01-01T06:00:00Z" },
    }),
  );
  const hook = { params: { path: { customer: "default", path: "ts" } } };
  await expectSuccess(api.GET("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.POST("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.PUT("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.PATCH("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.DELETE("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.HEAD("/api/v1/hooks/{customer}/{path}", hook));
  await expectSuccess(api.OPTIONS("/api/v1/hooks/{customer}/{path}", hook));
  const sent = await expectContent(api.POST("/api/v1/events", { body: { name: "ts.sent", data: { id: 7 } } }));
  const delivery = { path: { delivery_id: sent.id } };
  await expectContent(api.GET("/api/v1/deliveries", { params: { query: { kind: "event" } } }));
  await expectContent(api.GET("/api/v1/deliveries/{delivery_id}", { params: { path: delivery.path } }));
  await expectContent(api.POST("/api/v1/deliveries/{delivery_id}/redrive", { params: { path: delivery.path } }));
  await expectContent(api.POST("/api/v1/deliveries/redrive", { body: { workflow_id: "ts_hooked" } }));
}

async function callKeys(): Promise<void> {
  const created = await expectContent(api.POST("/api/v1/keys", { body: { name: "ts", scopes: ["read"] } }));
  const params = { path: { key_id: created.id } };
  await expectContent(api.GET("/api/v1/keys"));
  await expectContent(api.POST("/api/v1/keys/{key_id}/rotate", { params }));
  await expectSuccess(api.DELETE("/api/v1/keys/{key_id}", { params }));
  await expectContent(api.GET("/api/v1/audit"));
}

async function endWorkflows(): Promise<void> {
  const params = { path: { workflow_id: "ts_flow" } };
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/pause", { params }));
  await expectContent(api.POST("/api/v1/workflows/{workflow_id}/archive", { params }));
  await expectSuccess(api.DELETE("/api/v1/workflows/{workflow_id}", { params }));
}

const end: Node = { id: "done", type: "end" };
const flow = define("ts_flow", { type: "manual" }, { id: "hear", type: "wait", config: { event: "go" } }, end);
const call: Node = { id: "call", type: "action", action: "http.request", config: { url: "http://127.0.0.1:1/" } };
const failing = define("ts_failing", { type: "manual" }, { ...call, on_error: "pause", retry: { maximum_attempts: 1 } }, end);
const nightly = define("ts_nightly", { type: "schedule", cron: "0 3 * * *" }, end);
const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const hooked = define("ts_hooked", { type: "webhook", webhook_path: "ts", config: { methods } }, end);

await callService();
await callBuilder();
await callWorkflows(flow);
await callRuns(flow, failing);
await callTriggers(nightly, hooked);
await callKeys();
await endWorkflows();
console.log(JSON.stringify([...called]));
