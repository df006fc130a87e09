// How usual the path of a run is, from the share of the last runs of its version that took each edge out of a fork.
import type { Edge, Layout } from "../data/layout";
import { formatNumber } from "../parts/time";
import type { GraphStates } from "./states";

/** Answer of `GET /workflows/{id}/versions/{n}/edges`. */
export interface EdgeCounts {
  runs: number;
  edges: EdgeCount[];
}

export interface EdgeCount {
  source: string;
  port: string;
  runs: number;
  source_runs: number;
}

/** Runs below which nothing is called unusual. */
const LEAST_RUNS = 10;
/** Share of runs up to which an edge is unusual. */
const RARE = 0.1;

/** Return the counts of the edges that a run took and few others did. */
export function findDeviations({ edges }: Layout, states: GraphStates, counts: EdgeCounts): EdgeCount[] {
  const found = new Map<string, EdgeCount>();
  for (const edge of listForks(edges)) {
    const count = findCount(edge, counts);
    const isRare = count && count.source_runs >= LEAST_RUNS && count.runs <= RARE * count.source_runs;
    if (isRare && states.edges.get(edge) === "taken") found.set(`${edge.source} ${edge.port}`, count);
  }
  return [...found.values()];
}

/** Return the states with the share of runs on each edge out of a fork. */
export function markShares(layout: Layout, states: GraphStates, counts: EdgeCounts): GraphStates {
  const unusual = new Set(findDeviations(layout, states, counts).map(({ source, port }) => `${source} ${port}`));
  const notes = new Map<Edge, string>();
  const edges = new Map(states.edges);
  for (const edge of listForks(layout.edges)) {
    const count = findCount(edge, counts);
    if (count) notes.set(edge, formatShare(count));
    if (unusual.has(`${edge.source} ${edge.port}`)) edges.set(edge, "unusual");
  }
  return { ...states, edges, notes };
}

/** Return how usual an edge is, in words. */
export function describeShare({ port, runs, source_runs: all }: EdgeCount): string {
  return `${formatNumber(runs)} of the last ${formatNumber(all)} runs that came here left by “${port}”`;
}

function formatShare({ runs, source_runs: all }: EdgeCount): string {
  const percent = (100 * runs) / all;
  return percent > 0 && percent < 1 ? "<1 %" : `${Math.round(percent)} %`;
}

/** Return the edges that leave nodes by one of several ports. */
function listForks(edges: Edge[]): Edge[] {
  const ports = new Map<string, Set<string>>();
  const own = edges.filter(({ kind }) => kind !== "entry" && kind !== "onward");
  for (const { source, port } of own) ports.set(source, (ports.get(source) ?? new Set()).add(port));
  return own.filter(({ source }) => (ports.get(source)?.size ?? 0) > 1);
}

/** Return the count of an edge; of one that no run took, zero of those that came to its source. */
function findCount({ source, port }: Edge, { edges }: EdgeCounts): EdgeCount | null {
  const counted = edges.filter((each) => each.source === source);
  const own = counted.find((each) => each.port === port);
  return own ?? (counted[0] ? { source, port, runs: 0, source_runs: counted[0].source_runs } : null);
}
