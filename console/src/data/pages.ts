// A list in pages: its first page is read again every few seconds, later pages when someone asks for them.
import { useEffect, useState } from "preact/hooks";
import { get, type Problem, type Query } from "./api";
import { usePolled } from "./polling";
import type { Page } from "./types";

const PAGE = 100;

export interface List<Item> {
  items: Item[] | null;
  error: Problem | null;
  hasMore: boolean;
  loadMore: () => Promise<void>;
  refresh: () => void;
}

interface Source<Item> {
  path: string;
  query: Query;
  /** Is another one for another list. */
  key: string;
  /** After how many milliseconds the first page is read again. */
  every: number;
  /** Tells the items apart. */
  identify: (item: Item) => string;
}

/** Read a list of the API. */
export function usePages<Item>({ path, query, key, every, identify }: Source<Item>): List<Item> {
  const read = (cursor: string | null, signal?: AbortSignal) =>
    get<Page<Item>>(path, { ...query, limit: PAGE, cursor }, signal);
  const first = usePolled((signal) => read(null, signal), key, every);
  const [later, setLater] = useState<{ items: Item[]; next: string | null } | null>(null);
  useEffect(() => setLater(null), [key]);

  const next = later ? later.next : (first.value?.next_cursor ?? null);
  async function loadMore(): Promise<void> {
    const page = await read(next);
    setLater({ items: [...(later?.items ?? first.value?.items ?? []), ...page.items], next: page.next_cursor });
  }
  return {
    items: first.value && merge(first.value.items, later?.items ?? [], identify),
    error: first.error,
    hasMore: next !== null,
    loadMore,
    refresh: first.refresh,
  };
}

/** Return the items of the first page, followed by those that are on later pages only. */
function merge<Item>(first: Item[], later: Item[], identify: (item: Item) => string): Item[] {
  const seen = new Set(first.map(identify));
  return [...first, ...later.filter((item) => !seen.has(identify(item)))];
}
