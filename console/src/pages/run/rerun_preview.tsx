// A rerun before it is confirmed: what is reused and what runs again, drawn on the graph.
import { useEffect, useState } from "preact/hooks";
import { goTo } from "../../data/address";
import { explain, Problem } from "../../data/api";
import { makeKey } from "../../data/idempotency";
import type { Edge, Layout } from "../../data/layout";
import type { Run } from "../../data/types";
import type { EdgeState, GraphStates, NodeState } from "../../graph/states";
import { ActionButton } from "../../parts/action_button";
import { ProblemNotice } from "../../parts/notices";
import { formatCount } from "../../parts/time";
import { planRerun, type RerunPlan, type RerunTarget, startRerun } from "./run_actions";

export interface RerunPreview {
  target: RerunTarget;
  plan: RerunPlan | null;
  problem: Problem | null;
}

/** Read the plan of a rerun as soon as one is asked for. */
export function useRerunPreview(run: Run | null): [RerunPreview | null, (target: RerunTarget | null) => void] {
  const [preview, setPreview] = useState<RerunPreview | null>(null);
  const ask = (target: RerunTarget | null) => setPreview(target && { target, plan: null, problem: null });
  useEffect(() => {
    if (!run || !preview || preview.plan || preview.problem) return;
    planRerun(run.id, preview.target).then(
      (plan) => setPreview({ ...preview, plan }),
      (error: unknown) =>
        setPreview({ ...preview, problem: error instanceof Problem ? error : new Problem(0, "unknown", explain(error)) }),
    );
  }, [preview]);
  return [preview, ask];
}

/** Return the states that a plan gives the nodes. */
export function drawPlan(layout: Layout, plan: RerunPlan): GraphStates {
  const nodeOf = (stepId: string) => stepId.split("/").at(-1)?.split("#")[0] ?? stepId;
  const reused = new Set(plan.reused.map(nodeOf));
  const again = new Set(plan.again.map(nodeOf));
  const begins = new Set(plan.begins_at.map(nodeOf));
  const nodes = new Map<string, NodeState>();
  for (const { id } of layout.boxes) {
    if (begins.has(id) || id === plan.from_node) nodes.set(id, drawn("run", "retrying", "Begins here", "begins here"));
    else if (again.has(id)) nodes.set(id, drawn("run", "retrying", "Runs again", "runs again"));
    else if (reused.has(id)) nodes.set(id, drawn("ok", "completed", "Reused", "reused"));
    else nodes.set(id, drawn("none", null, "", ""));
  }
  const edges = new Map<Edge, EdgeState>(layout.edges.map((edge) => [edge, "open"]));
  return { nodes, edges };
}

function drawn(tone: NodeState["tone"], icon: NodeState["icon"], word: string, line: string): NodeState {
  return { tone, icon, word, line, steps: [] };
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
  const start = async () => {
    const id = await startRerun(run.id, key, target);
    onClose();
    goTo(["runs", id]);
  };
  return (
    <section class="card banner run" aria-label="Rerun">
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
