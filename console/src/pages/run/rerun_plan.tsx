// What a rerun reuses and runs again: drawn on the graph, and in words before it is confirmed.
import { useEffect, useRef, useState } from "preact/hooks";
import { goTo } from "../../data/address";
import { makeKey } from "../../data/idempotency";
import type { Edge, Layout } from "../../data/layout";
import type { Run } from "../../data/types";
import { isPicked, type Picks } from "../../graph/picks";
import type { EdgeState, GraphStates, NodeState } from "../../graph/states";
import { ActionButton } from "../../parts/action_button";
import { ProblemNotice } from "../../parts/notices";
import { formatCount, formatNumber } from "../../parts/time";
import type { RerunPreview } from "./rerun_preview";
import { type RerunPlan, startRerun } from "./run_actions";

/** Return the states that a plan gives the nodes, in the chosen iterations. */
export function drawPlan(layout: Layout, plan: RerunPlan, picks: Picks): GraphStates {
  const first = new Set(plan.begins_at.map(dropVisit));
  const begins = countNodes(plan.begins_at, picks);
  const again = countNodes([...plan.begins_at, ...plan.again.filter((id) => !first.has(dropVisit(id)))], picks);
  const reused = countNodes(plan.reused.filter((id) => !first.has(dropVisit(id))), picks);
  const nodes = new Map<string, NodeState>();
  for (const { id, folded } of layout.boxes) {
    const held = [id, ...folded];
    const sum = (counts: Map<string, number>) => held.reduce((total, each) => total + (counts.get(each) ?? 0), 0);
    const [runs, stays] = [sum(again), sum(reused)];
    if (held.some((each) => begins.has(each))) nodes.set(id, drawn("run", "retrying", "Begins here", listCounts("begins here", runs, stays)));
    else if (runs > 0) nodes.set(id, drawn("run", "retrying", "Runs again", listCounts("runs again", runs, stays)));
    else if (stays > 0) nodes.set(id, drawn("ok", "completed", "Reused", listCounts("reused", runs, stays)));
    else nodes.set(id, drawn("none", null, "", ""));
  }
  const edges = new Map<Edge, EdgeState>(layout.edges.map((edge) => [edge, "open"]));
  return { nodes, edges };
}

/** Return a step ID without the number of the visit: several of them are of the same node in the same iteration. */
function dropVisit(stepId: string): string {
  return stepId.replace(/[#~]\d+$/, "");
}

/** Return the number of steps by node, of those in the chosen iterations. */
function countNodes(stepIds: string[], picks: Picks): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stepId of stepIds) {
    const end = stepId.lastIndexOf("/");
    const node = dropVisit(stepId.slice(end + 1));
    if (isPicked(stepId.slice(0, Math.max(end, 0)), picks)) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}

/** Return what becomes of the steps of a node: `runs again`, or of several `3 of 10 run again`. */
function listCounts(words: string, runs: number, stays: number): string {
  const total = runs + stays;
  if (total < 2) return words;
  if (runs === 0) return `${formatNumber(total)} reused`;
  return `${formatNumber(runs)} of ${formatNumber(total)} run again`;
}

function drawn(tone: NodeState["tone"], icon: NodeState["icon"], word: string, line: string): NodeState {
  return { tone, icon, word, line };
}

interface Props {
  run: Run;
  preview: RerunPreview;
  nameOf: (nodeId: string) => string;
  onClose: () => void;
}

/** The banner that asks for confirmation. */
export function RerunBanner({ run, preview: { target, plan, problem }, nameOf, onClose }: Props) {
  const [key] = useState(makeKey);
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    // The button that asked for it may be far below.
    section.current?.scrollIntoView({ block: "nearest" });
    section.current?.focus({ preventScroll: true });
  }, []);
  const start = async () => {
    const id = await startRerun(run.id, key, target);
    onClose();
    goTo(["runs", id]);
  };
  return (
    <section class="card banner run" aria-label="Rerun" ref={section} tabIndex={-1}>
      <div class="banner-needs">
        {problem && <ProblemNotice problem={problem} />}
        {!problem && !plan && <p class="big">Computing what runs again…</p>}
        {plan && (
          <div>
            <p class="big">
              {target.failedItems ? `Rerun the failed items of “${nameOf(target.fromNode ?? plan.from_node)}”?` : `Rerun from “${nameOf(plan.from_node)}”`}
              {target.path && !target.failedItems && ` in ${target.path}`}
              {!target.failedItems && "?"}
            </p>
            <p class="sub">
              Reuses {formatCount(plan.reused.length, "step")} and runs {formatCount(plan.again.length, "recorded step")} again,
              with {plan.version ? `version ${plan.version}` : "the unpublished definition"}. The graph shows which.
            </p>
          </div>
        )}
      </div>
      <div class="actions">
        <button type="button" onClick={onClose}>
          Do not rerun
        </button>
        {plan && (
          <ActionButton needs={["run"]} class="primary" onAct={start}>
            Start the rerun
          </ActionButton>
        )}
      </div>
    </section>
  );
}
