// The list of runs: its first page is read again every few seconds, older pages when somebody asks for them.
import { useEffect, useState } from "preact/hooks";
import { get, type Problem } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, RunSummary } from "../../data/types";
import { buildQuery, type Filters } from "./run_query";

const REFRESH_MS = 3000;
const PAGE = 100;

export interface RunList {
  runs: RunSummary[] | null;
  error: Problem | null;
  hasMore: boolean;
  loadMore: () => Promise<void>;
  refresh: () => void;
}

/** Read the runs that match filters, the newest first. */
export function useRuns(filters: Filters): RunList {
  const key = JSON.stringify(filters);
  const read = (cursor: string | null, signal?: AbortSignal) =>
    get<Page<RunSummary>>("runs", { ...buildQuery(filters), limit: PAGE, cursor }, signal);
  const first = usePolled((signal) => read(null, signal), key, REFRESH_MS);
  const [older, setOlder] = useState<{ runs: RunSummary[]; next: string | null } | null>(null);
  useEffect(() => setOlder(null), [key]);

  const next = older ? older.next : (first.value?.next_cursor ?? null);
  async function loadMore(): Promise<void> {
    const page = await read(next);
    setOlder({ runs: [...(older?.runs ?? first.value?.items ?? []), ...page.items], next: page.next_cursor });
  }
  return {
    runs: first.value && mergeRuns(first.value.items, older?.runs ?? []),
    error: first.error,
    hasMore: next !== null,
    loadMore,
    refresh: first.refresh,
  };
}

/** Return the runs of the first page, followed by those that are on older pages only. */
function mergeRuns(first: RunSummary[], older: RunSummary[]): RunSummary[] {
  const seen = new Set(first.map(({ id }) => id));
  return [...first, ...older.filter(({ id }) => !seen.has(id))];
}
