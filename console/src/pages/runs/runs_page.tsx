// The list of runs as an inbox: what needs somebody first, what failed in groups, and one action for many.
import { useState } from "preact/hooks";
import { address } from "../../data/address";
import { get } from "../../data/api";
import { usePages } from "../../data/pages";
import { usePolled } from "../../data/polling";
import type { Page, RunSummary, Workflow } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { loadLater } from "../../parts/later";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { formatNumber } from "../../parts/time";
import { FirstRun } from "../examples/later";
import { selectFiltered } from "./bulk_job";
import { type Counts, Facets, findBusiest } from "./facets";
import { FailureGroups } from "./failure_groups";
import { clearFilters, buildQuery, type Filters, isFiltered, readFilters } from "./run_query";
import { RunTable } from "./run_table";
import { SearchBox } from "./search_box";
import { useWorkflowNames } from "./workflow_names";

const BulkBar = loadLater(() => import("./bulk").then((loaded) => loaded.BulkBar));
const BulkProgress = loadLater(() => import("./bulk").then((loaded) => loaded.BulkProgress));
const REFRESH_MS = 3000;
const SLOW_MS = 10_000;
/** Of those without runs: the filters list no more. */
const SOME_WORKFLOWS = 12;

/** The page with all runs. */
export function RunsPage() {
  const filters = readFilters();
  const list = usePages<RunSummary>({
    path: "runs",
    query: buildQuery(filters),
    key: JSON.stringify(filters),
    every: REFRESH_MS,
    identify: ({ id }) => id,
  });
  const counts = usePolled(
    (signal) => get<Counts>("runs/counts", buildQuery({ ...filters, status: "", reason: "" }), signal),
    JSON.stringify({ ...filters, status: "", reason: "" }),
    SLOW_MS,
  );
  const workflows = usePolled((signal) => get<Page<Workflow>>("workflows", { limit: SOME_WORKFLOWS }, signal), "", SLOW_MS);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const names = useWorkflowNames(workflows.value?.items ?? [], list.items ?? [], [
    ...findBusiest(counts.value, filters.workflow),
    ...(counts.value?.failures ?? []).map(({ workflow_id: id }) => id),
  ]);
  const chosen = list.items?.filter(({ id }) => selected.has(id)) ?? [];
  const job = address.value.query.get("bulk");
  const total = counts.value && countListed(counts.value, filters);
  const selection = selectFiltered(filters);
  const everything = list.hasMore && total && selection ? { total, selection } : null;
  if (list.items?.length === 0 && !isFiltered(filters) && workflows.value?.items.length === 0) return <FirstRun />;
  return (
    <>
      <div class="heading">
        <h1>Runs</h1>
        {counts.value && <span class="muted">{summarize(counts.value)}</span>}
      </div>
      {list.error && !list.error.isUnreachable && <ProblemNotice problem={list.error} onRetry={list.refresh} />}
      <div class="inbox">
        <Facets filters={filters} counts={counts.value} names={names} />
        <div class="inbox-main">
          <SearchBox filters={filters} />
          {job && <BulkProgress key={job} id={job} onChanged={list.refresh} />}
          {counts.value && (
            <FailureGroups groups={counts.value.failures} filters={filters} names={names} />
          )}
          <div class="card">
            {chosen.length > 0 && (
              <BulkBar runs={chosen} all={everything} onClear={() => setSelected(new Set())} />
            )}
            <Rows runs={list.items} names={names} selected={selected} onSelect={setSelected} isFiltered={isFiltered(filters)} />
            {list.hasMore && (
              <div class="more">
                <ActionButton needs={["read"]} class="quiet" onAct={list.loadMore}>
                  Show older runs
                </ActionButton>
              </div>
            )}
          </div>
        </div>
      </div>
    </>
  );
}

/** Return how many runs the list has: the counts are those without its status and reason. */
function countListed({ by_status, by_reason }: Counts, { status, reason }: Filters): number | null {
  if (reason) return status ? null : (by_reason[reason] ?? 0);
  if (status) return by_status[status] ?? 0;
  return Object.values(by_status).reduce((sum, number) => sum + number, 0);
}

function summarize({ by_status: states }: Counts): string {
  const total = Object.values(states).reduce((sum, number) => sum + number, 0);
  const parts = [`${formatNumber(total)} in all`];
  for (const status of ["failed", "waiting", "running", "completed"]) {
    if (states[status]) parts.push(`${formatNumber(states[status])} ${status}`);
  }
  return parts.join(" · ");
}

interface RowsProps {
  runs: RunSummary[] | null;
  names: ReadonlyMap<string, string>;
  selected: ReadonlySet<string>;
  onSelect: (ids: ReadonlySet<string>) => void;
  isFiltered: boolean;
}

function Rows({ runs, isFiltered: filtered, ...table }: RowsProps) {
  if (runs === null) return <Loading what="runs" />;
  if (runs.length > 0) return <RunTable runs={runs} {...table} />;
  return (
    <Empty title={filtered ? "No run matches" : "No runs yet"}>
      {filtered ? (
        <button type="button" onClick={clearFilters}>
          Remove the filters
        </button>
      ) : (
        <a href="#/workflows">Start one from a workflow</a>
      )}
    </Empty>
  );
}
