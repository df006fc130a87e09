// A rerun before it is confirmed. What draws it is loaded when one is asked for.
import { useEffect, useState } from "preact/hooks";
import { type Problem, toProblem } from "../../data/api";
import type { Run } from "../../data/types";
import { loadLater } from "../../parts/later";
import { planRerun, type RerunPlan, type RerunTarget } from "./run_actions";

const load = () => import("./on_demand");
export const RerunBanner = loadLater(() => load().then((loaded) => loaded.RerunBanner));

export interface RerunPreview {
  target: RerunTarget;
  plan: RerunPlan | null;
  draw: typeof import("./on_demand").drawPlan | null;
  problem: Problem | null;
}

/** Read the plan of a rerun as soon as one is asked for. */
export function useRerunPreview(run: Run | null): [RerunPreview | null, (target: RerunTarget | null) => void] {
  const [preview, setPreview] = useState<RerunPreview | null>(null);
  const ask = (target: RerunTarget | null) => setPreview(target && { target, plan: null, draw: null, problem: null });
  useEffect(() => {
    if (!run || !preview || preview.plan || preview.problem) return;
    Promise.all([planRerun(run.id, preview.target), load()]).then(
      ([plan, { drawPlan }]) => setPreview({ ...preview, plan, draw: drawPlan }),
      (error: unknown) =>
        setPreview({ ...preview, problem: toProblem(error, 0) }),
    );
  }, [preview]);
  return [preview, ask];
}
