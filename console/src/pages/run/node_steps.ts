// The steps of the chosen node with their data: the newest ones, and the chosen one.
import { useRef } from "preact/hooks";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Step } from "../../data/types";
import { listPicks, type Picks } from "../../graph/picks";

export interface NodeSteps {
  /** In the order in which they started. */
  steps: Step[];
  /** The chosen one. */
  step: Step | null;
}

const LISTED = 50;
const NONE: NodeSteps = { steps: [], step: null };

/** Read them, again whenever `change` is another text; `null` until they are there. */
export function useNodeSteps(runId: string, node: string | null, stepId: string | null, picks: Picks, change: string): NodeSteps | null {
  const path = `runs/${encodeURIComponent(runId)}/steps`;
  const key = JSON.stringify([runId, node, stepId, ...picks]);
  const last = useRef<{ key: string; value: NodeSteps } | null>(null);
  const { value } = usePolled(
    async (signal): Promise<NodeSteps> => {
      if (node === null || stepId === null) return NONE;
      const query = { node_id: node, iteration: listPicks(picks), order: "newest", limit: LISTED };
      const { items } = await get<Page<Step>>(path, query, signal);
      const listed = items.find(({ id }) => id === stepId);
      const step = listed ?? (await get<Page<Step>>(path, { step_id: stepId }, signal)).items[0] ?? null;
      const steps = step && !listed ? [...items, step] : items;
      return { steps: steps.reverse(), step };
    },
    `${key} ${change}`,
    0,
  );
  if (value) last.current = { key, value };
  return value ?? (last.current?.key === key ? last.current.value : null);
}
