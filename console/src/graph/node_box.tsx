// One node of a graph: its name, what it does or has done, its settings, and its state by colour, icon and word.
import type { Box } from "../data/layout";
import { type IconName, ICONS } from "../parts/icon";
import { formatCount } from "../parts/time";
import type { NodeState } from "./states";
import { measureDetail } from "./text_width";

const TEXT_LEFT = 14;
const TITLE_BASELINE = 22;
const DETAIL_BASELINE = 38;
const TITLE_LETTER = 8;
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
  const { x, y, width, height, type } = box;
  const hidden = box.folded.length > 0 ? `${formatCount(box.folded.length, "node")}, folded` : "";
  const line = [hidden, state?.line || (hidden ? "" : box.detail)].filter(Boolean).join(" · ");
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onSelect?.(box.id);
    } else onKey(event, box);
  };
  return (
    <g class={`node ${state?.tone ?? "none"} ${type} ${isSelected ? "selected" : ""} ${hidden ? "folded" : ""}`} onClick={() => onSelect?.(box.id)}>
      <title>{[box.name, box.description].filter(Boolean).join("\n")}</title>
      <g
        id={elementId}
        role="button"
        tabindex={isEntry ? 0 : -1}
        aria-label={describe(box, state)}
        aria-pressed={isSelected}
        onKeyDown={press}
      >
        <rect class="body" x={x} y={y} width={width} height={height} rx={10} />
      </g>
      <Face box={box} line={line} icon={state?.icon ?? null} />
    </g>
  );
}

/** What a node looks like; its button has the same in words. */
function Face({ box, line, icon }: { box: Box; line: string; icon: IconName | null }) {
  const { x, y, width, title } = box;
  return (
    <g class="face" aria-hidden="true">
      <text class="name" x={x + TEXT_LEFT} y={y + TITLE_BASELINE}>
        {title}
      </text>
      <Line box={box} text={line} />
      {box.marks.map((mark) => (
        <g key={mark.kind} class="mark">
          <rect x={mark.x} y={mark.y} width={mark.width} height={mark.height} rx={4} />
          <text x={mark.x + mark.width / 2} y={mark.y + mark.height / 2 + 4} text-anchor="middle">
            {mark.text}
          </text>
        </g>
      ))}
      {icon && (
        <g class="badge" transform={`translate(${x + width - 4} ${y + 2})`}>
          <circle r={BADGE} />
          <path class={icon === "running" || icon === "skipped" ? "filled" : ""} transform="translate(-6 -6) scale(.75)" d={ICONS[icon]} />
        </g>
      )}
    </g>
  );
}

/** What the node does or has done: below the title, or beside it in a box of one line, if there is space. */
function Line({ box: { x, y, width, height, title }, text }: { box: Box; text: string }) {
  if (height >= DETAIL_BASELINE + TEXT_LEFT / 2) {
    return (
      <text class="line" x={x + TEXT_LEFT} y={y + DETAIL_BASELINE}>
        {cut(text, width - 2 * TEXT_LEFT)}
      </text>
    );
  }
  if (title.length * TITLE_LETTER + measureDetail(text) > width - 3 * TEXT_LEFT) return null;
  return (
    <text class="line" x={x + width - TEXT_LEFT} y={y + TITLE_BASELINE} text-anchor="end">
      {text}
    </text>
  );
}

const RESULT = /: (true|false)$/;

/** Return a text that fits into a width; what a comparison has come to stays. */
function cut(text: string, width: number): string {
  if (measureDetail(text) <= width) return text;
  const end = RESULT.exec(text)?.[0] ?? "";
  let length = text.length - end.length - 1;
  while (length > 1 && measureDetail(`${text.slice(0, length)}…${end}`) > width) length -= 1;
  return `${text.slice(0, length)}…${end}`;
}

/** Return what a screen reader says: `Charge card, action, failed · 3 attempts`. */
function describe(box: Box, state: NodeState | undefined): string {
  const parts = [box.name, box.type, box.folded.length > 0 ? `folded, ${formatCount(box.folded.length, "node")}` : ""];
  if (state) parts.push(state.word.toLowerCase(), state.line && state.line !== state.word ? state.line : "");
  else parts.push(box.detail);
  return parts.filter(Boolean).join(", ");
}
