// Choose which iteration of a loop the graph shows.
import type { Layout } from "../../data/layout";
import type { PassSummary } from "../../data/types";
import type { Picks } from "../../graph/picks";
import { formatCount } from "../../parts/time";

interface Props {
  layout: Layout;
  passes: PassSummary[];
  picks: Picks;
  onPick: (loop: string, index: number | null) => void;
}

/** One choice for each loop that has begun. */
export function IterationPickers({ layout, passes, picks, onPick }: Props) {
  return (
    <>
      {layout.boxes.map(({ id, type, name }) => {
        const summary = type === "loop" && passes.find(({ node_id }) => node_id === id);
        return summary ? (
          <Picker key={id} name={name} summary={summary} picked={picks.get(id) ?? null} onPick={(index) => onPick(id, index)} />
        ) : null;
      })}
    </>
  );
}

interface PickerProps {
  name: string;
  summary: PassSummary;
  picked: number | null;
  onPick: (index: number | null) => void;
}

/** A list of iterations; where there are too many for one, also a field for the number. */
function Picker({ name, summary: { statuses, listed }, picked, onPick }: PickerProps) {
  const total = Object.values(statuses).reduce((sum, number) => sum + number, 0);
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
