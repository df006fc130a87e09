// The names of the workflows on the page of runs: the runs have theirs, each of the others is read once.
import { useRef } from "preact/hooks";
import { get, Problem } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { RunSummary, Workflow } from "../../data/types";

/** Return names by ID, of at least the wanted workflows: some of them a moment later. */
export function useWorkflowNames(
  workflows: Workflow[],
  runs: RunSummary[],
  wanted: string[],
): ReadonlyMap<string, string> {
  const read = useRef(new Map<string, string>()).current;
  const known = new Map(workflows.map(({ id, name }) => [id, name || id]));
  for (const { workflow_id: id, workflow_name: name } of runs) if (name) known.set(id, name);
  const missing = wanted.filter((id) => !known.has(id));
  usePolled(
    async (signal) => {
      for (const id of missing) if (!read.has(id)) read.set(id, await readName(id, signal));
      return null;
    },
    missing.join(" "),
    0,
  );
  return new Map([...read, ...known]);
}

async function readName(id: string, signal: AbortSignal): Promise<string> {
  try {
    return (await get<Workflow>(`workflows/${encodeURIComponent(id)}`, {}, signal)).name || id;
  } catch (error) {
    // Runs of a definition that was never saved have an ID as well.
    if (error instanceof Problem && error.status === 404) return id;
    throw error;
  }
}
