// Choose which iteration of a loop the graph shows.
import type { Layout } from "../../data/layout";
import type { NodeSummary, PassSummary } from "../../data/types";
import type { Picks } from "../../graph/picks";
import { formatCount } from "../../parts/time";

interface Props {
  layout: Layout;
  passes: PassSummary[];
  nodes: NodeSummary[];
  picks: Picks;
  onPick: (loop: string, index: number | null) => void;
}

/** One choice for each loop that has begun. */
export function IterationPickers({ layout, passes, nodes, picks, onPick }: Props) {
  return (
    <>
      {layout.boxes.map(({ id, type, name }) => {
        const summary = type === "loop" && passes.find(({ node_id }) => node_id === id);
        return summary ? (
          <Picker key={id} name={name} summary={summary} items={countItems(nodes, id)} picked={picks.get(id) ?? null} onPick={(index) => onPick(id, index)} />
        ) : null;
      })}
    </>
  );
}

/** Return the number of items of a loop that has run once; 0 where it is not known. */
function countItems(nodes: NodeSummary[], id: string): number {
  const loop = nodes.find(({ node_id }) => node_id === id);
  const passes = Object.values(loop?.statuses ?? {}).reduce((sum, number) => sum + number, 0);
  return passes === 1 ? (loop?.first.items?.count ?? 0) : 0;
}

interface PickerProps {
  name: string;
  summary: PassSummary;
  /** Also counts those of which no step is kept, or that have not begun. */
  items: number;
  picked: number | null;
  onPick: (index: number | null) => void;
}

/** A list of iterations; where there are too many for one, also a field for the number. */
function Picker({ name, summary: { statuses, listed }, items, picked, onPick }: PickerProps) {
  const begun = Object.values(statuses).reduce((sum, number) => sum + number, 0);
  const total = Math.max(begun, items);
  const pick = (text: string, shift: number) => onPick(text === "" ? null : Math.max(Number(text) - shift, 0));
  return (
    <label class="picker">
      <span>{name}</span>
      <select value={picked ?? ""} onChange={(event) => pick(event.currentTarget.value, 0)}>
        <option value="">all: {formatCount(total, "iteration")}</option>
        {picked !== null && !listed.some(({ index }) => index === picked) && <option value={picked}>item {picked + 1}</option>}
        {listed.map(({ index, status }) => (
          <option key={index} value={index}>
            {`item ${index + 1} · ${status}`}
          </option>
        ))}
      </select>
      {total > listed.length && (
        <input type="number" min={1} aria-label={`Number of the item of ${name}`} placeholder="item" value={picked === null ? "" : picked + 1}
          onChange={(event) => pick(event.currentTarget.value, 1)} />
      )}
    </label>
  );
}
