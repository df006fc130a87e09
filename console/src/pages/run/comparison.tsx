// Compare the run with another one of its workflow. What does it is loaded when it is asked for.
import { useState } from "preact/hooks";
import type { Problem } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Overview, Run } from "../../data/types";
import { listPicks, type Picks } from "../../graph/picks";
import { ActionButton } from "../../parts/action_button";
import { loadLater } from "../../parts/later";
import { getOverview } from "./run_store";

const loadCard = () => import("./on_demand");
const ChoiceDialog = loadLater(() => loadCard().then((loaded) => loaded.ChoiceDialog));
export const ComparisonCard = loadLater(() => loadCard().then((loaded) => loaded.ComparisonCard));

interface OtherRun {
  other: Overview;
  compareRuns: typeof import("./on_demand").compareRuns;
}

/** Read the run that another one is compared with; `null` until it is there, and where none is chosen. */
export function useOtherRun(id: string, picks: Picks): { value: OtherRun | null; error: Problem | null } {
  return usePolled(
    async (signal) => {
      if (!id) return null;
      const [other, { compareRuns }] = await Promise.all([getOverview(id, picks, signal), import("./on_demand")]);
      return { other, compareRuns };
    },
    [id, ...listPicks(picks)].join(" "),
    0,
  );
}

/** The button that opens the list of runs to compare with. */
export function CompareButton({ run }: { run: Run }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <ActionButton needs={["read"]} class="small" onAct={() => setOpen(true)}>
        Compare…
      </ActionButton>
      {isOpen && <ChoiceDialog run={run} onClose={() => setOpen(false)} />}
    </>
  );
}
