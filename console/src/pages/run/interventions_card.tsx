// Who did what to a run, the newest first.
import type { Run } from "../../data/types";
import { Moment } from "../../parts/time";
import type { RepairKind } from "./repairs";

const SHOWN = 20;

interface Intervention {
  kind: RepairKind | "resolve" | "pause" | "resume" | "migrate";
  at: string;
  by: string;
  reason: string;
  node_id: string | null;
  step_id: string | null;
  path: string;
  names: string[];
  action: string | null;
  /** The version that the run was to move to, and why it has stayed with its own. */
  version: number | null;
  refused: string[];
}

const DEEDS: Record<Intervention["kind"], string> = {
  retry_now: "retried",
  skip_wait: "skipped the wait of",
  skip_node: "skipped",
  set_result: "gave a result to",
  set_parameters: "edited parameters of",
  set_variables: "set variables",
  resolve: "resolved",
  pause: "paused the run",
  resume: "resumed the run",
  migrate: "moved the run",
};

/** Return what was done, in words: `edited parameters of “Charge card”: url`. */
function describeIntervention(intervention: Intervention, nameOf: (id: string) => string): string {
  const { kind, node_id: node, path, names, action, version, refused } = intervention;
  if (kind === "migrate") {
    return refused.length > 0 ? `could not move the run to version ${version}: ${refused.join("; ")}` : `moved the run to version ${version}`;
  }
  const target = node ? ` “${nameOf(node)}”` : "";
  const details = [...names, action ?? ""].filter(Boolean).join(", ");
  return `${DEEDS[kind] ?? kind}${target}${path ? ` (${path})` : ""}${details ? `: ${details}` : ""}`;
}

/** The card; none for a run that nobody has touched. */
export function InterventionsCard({ run, nameOf }: { run: Run; nameOf: (nodeId: string) => string }) {
  const interventions = (run.interventions ?? []) as unknown as Intervention[];
  if (interventions.length === 0) return null;
  const newest = interventions.slice(-SHOWN).reverse();
  return (
    <section class="card" aria-label="Who did what">
      <h2 class="card-title">
        Who did what
        {interventions.length > SHOWN && <span class="muted">the last {SHOWN} of {interventions.length}</span>}
      </h2>
      <ul class="deeds">
        {newest.map((each) => (
          <li key={each.at + each.kind + (each.step_id ?? each.node_id ?? "")}>
            <b>{each.by || "someone"}</b> {describeIntervention(each, nameOf)}
            <span class="note">
              <Moment time={each.at} />
              {each.reason && ` · “${each.reason}”`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
