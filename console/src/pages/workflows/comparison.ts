// What changes from one version to another, as the graph shows it.
import { useRef } from "preact/hooks";
import { get, send } from "../../data/api";
import type { Edge, Layout } from "../../data/layout";
import { usePolled } from "../../data/polling";
import type { Json, JsonObject } from "../../data/types";
import { type Opened, queryOpened } from "../../graph/folding";
import type { EdgeState, GraphStates, NodeState } from "../../graph/states";

export interface Change {
  kind: "added" | "removed" | "changed";
  path: string;
  before: Json;
  after: Json;
}

export interface Comparison {
  from_version: number;
  to_version: number;
  changes: Change[];
}

/** Read the differences between two versions; 0 as the first means not to compare, as the second the working copy. */
export function useComparison(base: string, from: number, to: number): Comparison | null {
  const { value } = usePolled(
    async (signal) => (from ? await get<Comparison>(`${base}/diff`, { from_version: from, to_version: to }, signal) : null),
    `${base} ${from} ${to}`,
    0,
  );
  return value;
}

export interface ComparedGraph {
  layout: Layout;
  states: GraphStates;
}

/** Read and draw both versions on one graph; `null` until that is done, and where nothing is compared. */
export function useComparedGraph(
  base: string,
  comparison: Comparison | null,
  working: JsonObject,
  opened: Opened,
): ComparedGraph | null {
  const last = useRef<{ key: string; graph: ComparedGraph | null }>({ key: "", graph: null });
  const key = `${base} ${comparison?.from_version ?? 0} ${comparison?.to_version ?? 0} ${comparison?.changes.length ?? ""}`;
  const [from, to] = [comparison?.from_version ?? 0, comparison?.to_version ?? 0];
  const read = async (version: number, signal: AbortSignal) =>
    version ? (await get<{ definition: JsonObject }>(`${base}/versions/${version}`, {}, signal)).definition : working;
  const { value } = usePolled(
    async (signal) => {
      if (!comparison) return null;
      const [before, after] = await Promise.all([read(from, signal), read(to, signal)]);
      const body = mergeDefinitions(before, after);
      const { body: layout } = await send<Layout>("POST", "workflows/layout", { body, query: queryOpened(opened), signal, isRead: true });
      last.current = { key, graph: { layout, states: drawChanges(layout, comparison, before, after) } };
      return last.current.graph;
    },
    `${key} ${opened.ids.join("\n")}`,
    0,
  );
  // While a box is opened, the graph stays as it was.
  return value ?? (last.current.key === key ? last.current.graph : null);
}

/** Return one definition with the nodes and edges of two, the second's where both have them: both are drawn on one graph. */
export function mergeDefinitions(before: JsonObject, after: JsonObject): JsonObject {
  const [old, current] = [listNodes(before), listNodes(after)];
  const nodes = [...current.values()].map((node) => mergeBranches(old.get(String(node.id)), node));
  for (const [id, node] of old) if (!current.has(id)) nodes.push(node);
  const edges = new Map<string, Json>();
  for (const edge of [...listObjects(after.edges), ...listObjects(before.edges)]) {
    const key = nameEdge(String(edge.source), edge.condition, String(edge.target));
    if (!edges.has(key)) edges.set(key, edge);
  }
  return { ...after, nodes, edges: [...edges.values()] };
}

function listNodes(definition: JsonObject): Map<string, JsonObject> {
  return new Map(listObjects(definition.nodes).map((node) => [String(node.id), node]));
}

function listObjects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

/** Lists of node IDs by which a node leads on, and the ports of them. */
const BRANCHES = { true_branch: "true", false_branch: "false", body: "body" } as const;

function mergeBranches(old: JsonObject | undefined, node: JsonObject): JsonObject {
  const merged = { ...node };
  for (const name of Object.keys(BRANCHES)) {
    const ids = [...listIds(node[name]), ...listIds(old?.[name])];
    if (ids.length > 0) merged[name] = [...new Set(ids)];
  }
  const [own, others] = [listObjects(node.branches), listObjects(old?.branches)] as unknown as [Json[], Json[]];
  if (others.length > own.length) merged.branches = [...own, ...others.slice(own.length)];
  return merged;
}

function listIds(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function nameEdge(source: string, port: Json | undefined, target: string): string {
  return [source, port || "next", target].join("\n");
}

function listEdges(definition: JsonObject): Set<string> {
  const names = listObjects(definition.edges).map(({ source, condition, target }) => nameEdge(String(source), condition, String(target)));
  for (const [id, node] of listNodes(definition)) {
    for (const [name, port] of Object.entries(BRANCHES)) {
      names.push(...listIds(node[name]).map((target) => nameEdge(id, port, target)));
    }
  }
  return new Set(names);
}

/** Return the states of the nodes and edges of a merged graph. */
export function drawChanges(layout: Layout, { changes }: Comparison, before: JsonObject, after: JsonObject): GraphStates {
  const kinds = new Map<string, Change["kind"]>();
  for (const { path, kind } of changes) {
    const [, part, id, ...rest] = path.split("/");
    if (part === "nodes" && id) kinds.set(unescape(id), rest.length === 0 ? kind : "changed");
  }
  const nodes = new Map<string, NodeState>();
  for (const { id, folded } of layout.boxes) {
    nodes.set(id, describe(kinds.get(id) ?? (folded.some((each) => kinds.has(each)) ? "changed" : undefined)));
  }
  const [old, current] = [listEdges(before), listEdges(after)];
  const edges = new Map<Edge, EdgeState>();
  for (const edge of layout.edges) {
    const name = nameEdge(edge.source, edge.port, edge.target);
    if (old.has(name) !== current.has(name)) edges.set(edge, old.has(name) ? "off" : "taken");
  }
  return { nodes, edges };
}

/** Undo the escapes of a JSON Pointer. */
function unescape(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}

function describe(kind: Change["kind"] | undefined): NodeState {
  if (kind === "added") return { tone: "ok", icon: "plus", word: "Added", line: "" };
  if (kind === "removed") return { tone: "bad", icon: "minus", word: "Removed", line: "" };
  if (kind) return { tone: "wait", icon: "retrying", word: "Changed", line: "" };
  return { tone: "none", icon: null, word: "Unchanged", line: "" };
}
