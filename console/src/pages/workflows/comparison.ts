// What changes from one version to another, as the graph shows it.
import { get } from "../../data/api";
import type { Edge, Layout } from "../../data/layout";
import { usePolled } from "../../data/polling";
import type { Json } from "../../data/types";
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

/** Return the states of a graph's nodes in a comparison. */
export function drawChanges(layout: Layout, { changes }: Comparison): GraphStates {
  const kinds = new Map<string, Change["kind"]>();
  for (const { path, kind } of changes) {
    const [, part, id, ...rest] = path.split("/");
    if (part === "nodes" && id) kinds.set(unescape(id), rest.length === 0 ? kind : "changed");
  }
  const nodes = new Map<string, NodeState>();
  for (const { id } of layout.boxes) nodes.set(id, describe(kinds.get(id)));
  return { nodes, edges: new Map<Edge, EdgeState>() };
}

/** Undo the escapes of a JSON Pointer. */
function unescape(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}

function describe(kind: Change["kind"] | undefined): NodeState {
  if (kind === "added") return { tone: "ok", icon: "plus", word: "Added", line: "", steps: [] };
  if (kind) return { tone: "wait", icon: "retrying", word: "Changed", line: "", steps: [] };
  return { tone: "none", icon: null, word: "Unchanged", line: "", steps: [] };
}
