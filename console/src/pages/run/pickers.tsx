// Choose which iteration of a loop the graph shows.
import type { Layout } from "../../data/layout";
import type { Run, Status } from "../../data/types";
import { locate, type Picks } from "../../graph/paths";
import { formatCount } from "../../parts/time";

interface Props {
  layout: Layout;
  run: Run;
  picks: Picks;
  onPick: (scope: string, index: number | null) => void;
}

const URGENT: Status[] = ["failed", "retrying", "waiting", "running", "pending"];

/** One choice for each loop that has begun. */
export function IterationPickers({ layout, run, picks, onPick }: Props) {
  const loops = layout.boxes.filter(({ type }) => type === "loop");
  if (loops.length === 0) return null;
  const iterations = listIterations(layout, run);
  return (
    <>
      {loops.map((box) => {
        const scope = box.scope ? `${box.scope}/${box.id}` : box.id;
        const seen = iterations.get(scope);
        if (!seen) return null;
        return (
          <label class="picker" key={scope}>
            <span>{box.name}</span>
            <select
              value={picks.get(scope) ?? ""}
              onChange={({ currentTarget: { value } }) => onPick(scope, value === "" ? null : Number(value))}
            >
              <option value="">all: {formatCount(seen.size, "iteration")}</option>
              {[...seen].sort(([a], [b]) => a - b).map(([index, status]) => (
                <option key={index} value={index}>
                  {`item ${index + 1} · ${status}`}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </>
  );
}

function listIterations(layout: Layout, run: Run): Map<string, Map<number, Status>> {
  const loops = new Set(layout.boxes.filter(({ type }) => type === "loop").map(({ id }) => id));
  const found = new Map<string, Map<number, Status>>();
  for (const { path, status } of run.steps) {
    for (const [scope, index] of locate(path, (id) => loops.has(id)).iterations) {
      const seen = found.get(scope) ?? new Map<number, Status>();
      const before = seen.get(index);
      if (before === undefined || URGENT.includes(status)) seen.set(index, worst(before, status));
      found.set(scope, seen);
    }
  }
  return found;
}

function worst(before: Status | undefined, status: Status): Status {
  const counted = URGENT.includes(status) ? status : "completed";
  return before && URGENT.includes(before) && URGENT.indexOf(before) <= rank(counted) ? before : counted;
}

function rank(status: Status): number {
  return URGENT.includes(status) ? URGENT.indexOf(status) : URGENT.length;
}
