// Graphs whose boxes can be folded: above 400 nodes, loops and parallels start as one node each.
import { useState } from "preact/hooks";
import { get, type Problem } from "../data/api";
import type { Layout } from "../data/layout";
import { usePolled } from "../data/polling";

/** IDs of the boxes that were opened. */
export interface Opened {
  ids: string[];
  toggle: (id: string) => void;
}

export interface FoldedGraph {
  layout: Layout | null;
  error: Problem | null;
  opened: Opened;
}

/** Hold which boxes of a graph are open. */
export function useOpened(): Opened {
  const [ids, setIds] = useState<string[]>([]);
  return { ids, toggle: (id) => setIds(ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id]) };
}

/** Return what the API is asked for: which boxes are open, of a graph that is too large to have all of them open. */
export function queryOpened({ ids }: Opened): { open: string[] } {
  return { open: ids.length > 0 ? ids : [""] };
}

/** Read the graph at a path of the API, with the boxes open that were opened here. */
export function useFoldedGraph(path: string, key: string): FoldedGraph {
  const opened = useOpened();
  const [last, setLast] = useState<{ path: string; layout: Layout } | null>(null);
  const { value, error } = usePolled(
    async (signal) => {
      const layout = await get<Layout>(path, { format: "layout", ...queryOpened(opened) }, signal);
      setLast({ path, layout });
      return layout;
    },
    `${key} ${opened.ids.join("\n")}`,
    0,
  );
  // While a box is opened, the graph stays as it was.
  return { layout: value ?? (last?.path === path ? last.layout : null), error, opened };
}

interface Props {
  layout: Layout | null;
  opened: Opened;
  selected: string | null;
}

/** The button that opens or folds the chosen box. */
export function FoldButton({ layout, opened: { ids, toggle }, selected }: Props) {
  const box = layout?.boxes.find(({ id }) => id === selected);
  if (!box || (box.folded.length === 0 && !ids.includes(box.id))) return null;
  return (
    <button type="button" class="small" onClick={() => toggle(box.id)}>
      {box.folded.length > 0 ? `Open “${box.name}”` : `Fold “${box.name}”`}
    </button>
  );
}
