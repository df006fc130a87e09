// Which node an arrow key leads to: along the edges, else the nearest box in that direction.
import type { Box, Layout } from "../data/layout";

const FORWARD = ["ArrowDown", "ArrowRight"];
const BACK = ["ArrowUp", "ArrowLeft"];

/** Return the box that a key leads to from a box, or `null`. */
export function findNeighbour(layout: Layout, from: Box, key: string): Box | null {
  if (key === "Home") return layout.boxes[0] ?? null;
  if (key === "End") return layout.boxes.at(-1) ?? null;
  if (!FORWARD.includes(key) && !BACK.includes(key)) return null;
  const isForward = FORWARD.includes(key);
  const ids = layout.edges.flatMap(({ source, target }) => {
    if (isForward) return source === from.id ? [target] : [];
    return target === from.id ? [source] : [];
  });
  const linked = layout.boxes.filter(({ id }) => ids.includes(id) && id !== from.id);
  const isSideways = key === "ArrowLeft" || key === "ArrowRight";
  const choices = isSideways ? findBeside(layout, from, key === "ArrowRight") : linked;
  return nearest(choices.length > 0 ? choices : linked, from);
}

function findBeside(layout: Layout, from: Box, isRight: boolean): Box[] {
  return layout.boxes.filter(
    (box) =>
      box.id !== from.id &&
      box.scope === from.scope &&
      box.y < from.y + from.height &&
      box.y + box.height > from.y &&
      (isRight ? box.x > from.x : box.x < from.x),
  );
}

function nearest(boxes: Box[], from: Box): Box | null {
  const distance = (box: Box) => Math.hypot(middle(box)[0] - middle(from)[0], middle(box)[1] - middle(from)[1]);
  return boxes.reduce<Box | null>((best, box) => (best && distance(best) <= distance(box) ? best : box), null);
}

function middle({ x, y, width, height }: Box): [number, number] {
  return [x + width / 2, y + height / 2];
}
