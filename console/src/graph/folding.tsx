// Graphs whose boxes can be folded: above 400 nodes, loops and parallels start as one node each.
import { useState } from "preact/hooks";
import { get, type Problem } from "../data/api";
import type { Layout } from "../data/layout";
import { usePolled } from "../data/polling";

export interface FoldedGraph {
  layout: Layout | null;
  error: Problem | null;
  /** IDs of the boxes that were opened. */
  opened: string[];
  toggle: (id: string) => void;
}

/** Read the graph at a path of the API, with the boxes open that were opened here. */
export function useFoldedGraph(path: string, key: string): FoldedGraph {
  const [opened, setOpened] = useState<string[]>([]);
  const [last, setLast] = useState<{ path: string; layout: Layout } | null>(null);
  const { value, error } = usePolled(
    async (signal) => {
      const layout = await get<Layout>(path, { format: "layout", open: opened.length > 0 ? opened : [""] }, signal);
      setLast({ path, layout });
      return layout;
    },
    `${key} ${opened.join("\n")}`,
    0,
  );
  const toggle = (id: string) => setOpened(opened.includes(id) ? opened.filter((each) => each !== id) : [...opened, id]);
  // While a box is opened, the graph stays as it was.
  return { layout: value ?? (last?.path === path ? last.layout : null), error, opened, toggle };
}

interface Props {
  graph: FoldedGraph;
  selected: string | null;
}

/** The button that opens or folds the chosen box. */
export function FoldButton({ graph: { layout, opened, toggle }, selected }: Props) {
  const box = layout?.boxes.find(({ id }) => id === selected);
  if (!box || (!box.folded && !opened.includes(box.id))) return null;
  return (
    <button type="button" class="small" onClick={() => toggle(box.id)}>
      {box.folded ? `Open “${box.name}”` : `Fold “${box.name}”`}
    </button>
  );
}
