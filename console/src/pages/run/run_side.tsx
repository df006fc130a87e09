// What stands beside the graph of a run: the chosen step, who did what, and the steps.
import { setParameters } from "../../data/address";
import type { Layout } from "../../data/layout";
import type { JsonObject, Overview } from "../../data/types";
import type { Picks } from "../../graph/picks";
import type { EdgeCounts } from "../../graph/usual_path";
import { loadLater } from "../../parts/later";
import { useNodeSteps } from "./node_steps";
import type { RerunTarget } from "./run_actions";
import type { Choice } from "./run_page";
import { StepPanel } from "./step_panel";
import { StepTable } from "./step_table";

const InterventionsCard = loadLater(() => import("./on_demand").then((loaded) => loaded.InterventionsCard));

interface Props {
  overview: Overview;
  layout: Layout | null;
  choice: Choice;
  picks: Picks;
  /** What the last runs took, where that is known. */
  counts: EdgeCounts | null;
  /** The chosen node as it is written in the definition, where that is known. */
  template: JsonObject | null;
  nameOf: (nodeId: string) => string;
  onRerun: (target: RerunTarget) => void;
  onChanged: () => void;
  onMore: () => void;
}

/** The column. */
export function RunSide({ overview, layout, choice, picks, counts, template, nameOf, onRerun, onChanged, onMore }: Props) {
  const { run } = overview;
  const { node, summary, stepId } = choice;
  const chosen = useNodeSteps(run.id, node, stepId, picks, JSON.stringify(summary));
  return (
    <aside class="run-side">
      {node && (
        <StepPanel run={run} box={layout?.boxes.find(({ id }) => id === node) ?? null} summary={summary} chosen={chosen} counts={counts}
          template={template} onChoose={(step) => setParameters({ step })} onRerun={onRerun} onChanged={onChanged} />
      )}
      {run.interventions && run.interventions.length > 0 && <InterventionsCard run={run} nameOf={nameOf} />}
      <StepTable overview={overview} picks={picks} nameOf={nameOf} selected={stepId} onMore={onMore}
        onChoose={({ id, node_id }) => setParameters({ step: id, node: node_id })} />
    </aside>
  );
}
