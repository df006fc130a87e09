// Who did what to a run, the newest first.
import type { Run } from "../../data/types";
import { Moment } from "../../parts/time";
import { describeIntervention, type Intervention } from "./repairs";

const SHOWN = 20;

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
            <b>{each.by || "somebody"}</b> {describeIntervention(each, nameOf)}
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
