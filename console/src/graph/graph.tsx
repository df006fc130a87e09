// A graph as the API has laid it out, with a state on every node. Nodes are buttons; arrow keys follow the edges.
import { useMemo } from "preact/hooks";
import type { Box, Edge, Layout, ScopeFrame } from "../data/layout";
import { Canvas, type View } from "./canvas";
import { findNeighbour } from "./keyboard";
import { NodeBox } from "./node_box";
import type { EdgeState, GraphStates } from "./states";

interface Props {
  layout: Layout;
  label: string;
  /** States of a run; without them all nodes look alike. */
  states?: GraphStates | undefined;
  selected?: string | null;
  onSelect?: (id: string) => void;
}

/** Number of boxes from which only those in view are drawn. */
const MANY = 400;
const MARGIN = 300;

/** The graph. */
export function Graph({ layout, label, states, selected = null, onSelect }: Props) {
  const start = selected ?? layout.boxes[0]?.id ?? null;
  const isMany = layout.boxes.length > MANY;

  function moveFocus(event: KeyboardEvent, box: Box): void {
    const next = findNeighbour(layout, box, event.key);
    if (!next) return;
    event.preventDefault();
    onSelect?.(next.id);
    requestAnimationFrame(() => document.getElementById(nodeElementId(next.id))?.focus());
  }

  return (
    <Canvas width={layout.width} height={layout.height} label={label} target={findTarget(layout, selected)}>
      {(view) => (
        <>
          <Arrows />
          {layout.scopes.filter((each) => !isMany || isInView(each, view)).map((frame) => (
            <Frame key={frame.path} frame={frame} />
          ))}
          {layout.boxes.filter((box) => isContainer(box) && (!isMany || isInView(box, view))).map((box) => (
            <NodeBox key={box.id} box={box} state={states?.nodes.get(box.id)} isSelected={box.id === selected}
              isEntry={box.id === start} elementId={nodeElementId(box.id)} onSelect={onSelect} onKey={moveFocus} />
          ))}
          {layout.edges.filter((each) => !isMany || isEdgeInView(each, view)).map((edge, index) => (
            <EdgeLine key={`${edge.source}|${edge.port}|${edge.target}|${index}`} edge={edge} state={states?.edges.get(edge)}
              note={states?.notes?.get(edge)} />
          ))}
          {layout.boxes.filter((box) => !isContainer(box) && (!isMany || isInView(box, view))).map((box) => (
            <NodeBox key={box.id} box={box} state={states?.nodes.get(box.id)} isSelected={box.id === selected}
              isEntry={box.id === start} elementId={nodeElementId(box.id)} onSelect={onSelect} onKey={moveFocus} />
          ))}
        </>
      )}
    </Canvas>
  );
}

/** Whether the box holds the boxes of a body or of branches. */
function isContainer({ type, folded }: Box): boolean {
  return (type === "loop" || type === "parallel") && folded.length === 0;
}

function nodeElementId(id: string): string {
  return `node-${id}`;
}

function findTarget(layout: Layout, id: string | null): Box | null {
  return layout.boxes.find((box) => box.id === id) ?? null;
}

function isInView({ x, y, width, height }: Box | ScopeFrame, view: View): boolean {
  return (
    x < view.right + MARGIN && x + width > view.left - MARGIN && y < view.bottom + MARGIN && y + height > view.top - MARGIN
  );
}

function isEdgeInView({ points }: Edge, view: View): boolean {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return (
    Math.min(...xs) < view.right + MARGIN &&
    Math.max(...xs) > view.left - MARGIN &&
    Math.min(...ys) < view.bottom + MARGIN &&
    Math.max(...ys) > view.top - MARGIN
  );
}

function Frame({ frame }: { frame: ScopeFrame }) {
  const { x, y, width, height, title } = frame;
  return (
    <g class="frame" aria-hidden="true">
      <rect x={x} y={y} width={width} height={height} rx={9} />
      {title && (
        <text x={x + 10} y={y + 15}>
          {title}
        </text>
      )}
    </g>
  );
}

interface EdgeProps {
  edge: Edge;
  state: EdgeState | undefined;
  note: string | undefined;
}

function EdgeLine({ edge, state = "open", note }: EdgeProps) {
  const label = [edge.label, note].filter(Boolean).join(" ");
  const path = useMemo(() => roundCorners(edge.points), [edge]);
  return (
    <g class={`edge ${state}`} aria-hidden="true">
      <path d={path} marker-end={`url(#arrow-${state})`} />
      {label && (
        <text x={edge.label_x} y={edge.label_y} text-anchor="middle">
          {label}
        </text>
      )}
    </g>
  );
}

const RADIUS = 6;

/** Return the line through the points, with its corners rounded. */
function roundCorners(points: [number, number][]): string {
  const parts: string[] = [];
  points.forEach(([x, y], index) => {
    const before = points[index - 1];
    const after = points[index + 1];
    if (!before) parts.push(`M${x} ${y}`);
    else if (!after) parts.push(`L${x} ${y}`);
    else {
      const [fromX, fromY] = stepTowards([x, y], before);
      const [toX, toY] = stepTowards([x, y], after);
      parts.push(`L${fromX} ${fromY}Q${x} ${y} ${toX} ${toY}`);
    }
  });
  return parts.join("");
}

function stepTowards([x, y]: [number, number], [toX, toY]: [number, number]): [number, number] {
  const length = Math.hypot(toX - x, toY - y) || 1;
  const step = Math.min(RADIUS, length / 2);
  return [x + ((toX - x) / length) * step, y + ((toY - y) / length) * step];
}

function Arrows() {
  return (
    <defs>
      {(["open", "taken", "off", "unusual", "first", "second"] as const).map((state) => (
        <marker key={state} id={`arrow-${state}`} class={`arrow ${state}`} markerWidth="9" markerHeight="8" refX="7" refY="4"
          orient="auto" markerUnits="userSpaceOnUse">
          <path d="M0 0L8 4L0 8z" />
        </marker>
      ))}
    </defs>
  );
}
