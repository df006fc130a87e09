// Failed runs that failed alike: one line for each node and type of error, with one action for all of them.
import { useState } from "preact/hooks";
import type { RunSummary } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Pill } from "../../parts/status";
import { formatNumber } from "../../parts/time";
import { BulkDialog } from "./bulk";

interface Props {
  runs: RunSummary[];
  names: ReadonlyMap<string, string>;
  onDone: () => void;
}

interface Group {
  key: string;
  runs: RunSummary[];
}

const SHOWN = 5;

/** The groups of more than one run, the largest first. */
export function FailureGroups({ runs, names, onDone }: Props) {
  const [chosen, setChosen] = useState<Group | null>(null);
  const groups = groupFailures(runs).slice(0, SHOWN);
  if (groups.length === 0) return null;
  return (
    <section class="card groups" aria-label="Failed alike">
      {groups.map((group) => (
        <GroupLine key={group.key} group={group} names={names} onRerun={() => setChosen(group)} />
      ))}
      {chosen && <BulkDialog operation="rerun" runs={chosen.runs} onClose={() => setChosen(null)} onDone={onDone} />}
    </section>
  );
}

function groupFailures(runs: RunSummary[]): Group[] {
  const groups = new Map<string, RunSummary[]>();
  for (const run of runs) {
    if (run.status !== "failed" || !run.error_type) continue;
    const key = JSON.stringify([run.workflow_id, run.node_id, run.error_type]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups]
    .map(([key, members]) => ({ key, runs: members }))
    .filter((group) => group.runs.length > 1)
    .sort((a, b) => b.runs.length - a.runs.length);
}

function GroupLine({ group, names, onRerun }: { group: Group; names: ReadonlyMap<string, string>; onRerun: () => void }) {
  const first = group.runs[0] as RunSummary;
  const workflow = first.workflow_name || names.get(first.workflow_id) || first.workflow_id;
  const node = first.node_name ?? first.node_id;
  return (
    <div class="group">
      <Pill tone="bad" icon="failed" text={formatNumber(group.runs.length)} />
      <p>
        <b>{[workflow, node].filter(Boolean).join(" / ")}</b> · {first.error_type?.replaceAll("_", " ")}
        {first.error && <span class="muted"> · “{first.error}”</span>}
      </p>
      <ActionButton needs={["run"]} onAct={onRerun}>
        Rerun {formatNumber(group.runs.length)}
        {node ? ` from ${node}` : ""}…
      </ActionButton>
    </div>
  );
}
