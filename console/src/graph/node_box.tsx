// One node of a graph: its name, what it does or has done, its settings, and its state by colour, icon and word.
import type { Box } from "../data/layout";
import { ICONS } from "../parts/icon";
import type { NodeState } from "./states";

const TEXT_LEFT = 14;
const TITLE_BASELINE = 22;
const DETAIL_BASELINE = 38;
/** Width of a letter at the size of details: wide enough for most, since longer text is cut, not clipped. */
const DETAIL_LETTER = 5.7;
const BADGE = 9;

interface Props {
  box: Box;
  state: NodeState | undefined;
  isSelected: boolean;
  /** Whether the tab key stops here: one node of the graph, the others follow by arrow keys. */
  isEntry: boolean;
  elementId: string;
  onSelect: ((id: string) => void) | undefined;
  onKey: (event: KeyboardEvent, box: Box) => void;
}

/** The node. */
export function NodeBox({ box, state, isSelected, isEntry, elementId, onSelect, onKey }: Props) {
  const { x, y, width, height, title, type } = box;
  const line = state?.line || box.detail;
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onSelect?.(box.id);
    } else onKey(event, box);
  };
  return (
    <g
      id={elementId}
      class={`node ${state?.tone ?? "none"} ${type} ${isSelected ? "selected" : ""}`}
      role="button"
      tabindex={isEntry ? 0 : -1}
      aria-label={describe(box, state)}
      aria-pressed={isSelected}
      onClick={() => onSelect?.(box.id)}
      onKeyDown={press}
    >
      <title>{[box.name, box.description].filter(Boolean).join("\n")}</title>
      <rect class="body" x={x} y={y} width={width} height={height} rx={10} />
      <text class="name" x={x + TEXT_LEFT} y={y + TITLE_BASELINE}>
        {title}
      </text>
      <text class="line" x={x + TEXT_LEFT} y={y + DETAIL_BASELINE}>
        {cut(line, width - 2 * TEXT_LEFT)}
      </text>
      {box.marks.map((mark) => (
        <g key={mark.kind} class="mark">
          <rect x={mark.x} y={mark.y} width={mark.width} height={mark.height} rx={4} />
          <text x={mark.x + mark.width / 2} y={mark.y + mark.height / 2 + 4} text-anchor="middle">
            {mark.text}
          </text>
        </g>
      ))}
      {state?.icon && (
        <g class="badge" transform={`translate(${x + width - 4} ${y + 2})`}>
          <circle r={BADGE} />
          <path class={state.icon === "running" || state.icon === "skipped" ? "filled" : ""} transform="translate(-6 -6) scale(.75)" d={ICONS[state.icon]} />
        </g>
      )}
    </g>
  );
}

function cut(text: string, width: number): string {
  const most = Math.floor(width / DETAIL_LETTER);
  return text.length > most ? `${text.slice(0, Math.max(most - 1, 1))}…` : text;
}

/** Return what a screen reader says: `Charge card, action, failed · 3 attempts`. */
function describe(box: Box, state: NodeState | undefined): string {
  const parts = [box.name, box.type];
  if (state) parts.push(state.word.toLowerCase(), state.line && state.line !== state.word ? state.line : "");
  else parts.push(box.detail);
  return parts.filter(Boolean).join(", ");
}
