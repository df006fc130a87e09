// The buttons that change a run in progress at the chosen step or node.
import { useState } from "preact/hooks";
import type { Box } from "../../data/layout";
import type { JsonObject, Run, Step } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { loadLater } from "../../parts/later";
import { listRepairs, type RepairKind, REPAIRS } from "./repairs";

const RepairDialog = loadLater(() => import("./on_demand").then((loaded) => loaded.RepairDialog));

interface ButtonsProps {
  run: Run;
  box: Box | null;
  step: Step | null;
  /** `config` of the node, where it is known. */
  config: JsonObject | null;
  onChanged: () => void;
}

/** The buttons for the chosen step or node. */
export function RepairButtons({ run, box, step, config, onChanged }: ButtonsProps) {
  const [kind, setKind] = useState<RepairKind | null>(null);
  const kinds = listRepairs(run, box, step);
  if (kinds.length === 0 || !box) return null;
  const initial = kind === "set_parameters" ? config : {};
  return (
    <div class="panel-actions repairs">
      {kinds.map((each) => (
        <ActionButton key={each} needs={REPAIRS[each].needs} class="small" onAct={() => setKind(each)}>
          {REPAIRS[each].verb}…
        </ActionButton>
      ))}
      {kind && (
        <RepairDialog run={run} kind={kind} title={`${REPAIRS[kind].verb}: ${box.name}`} stepId={step?.id} nodeId={box.id}
          initial={initial} onClose={() => setKind(null)} onDone={onChanged} />
      )}
    </div>
  );
}
