// The list of runs.
import { linkTo } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, RunSummary } from "../../data/types";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { StatusPill } from "../../parts/status";
import { formatDuration, Moment } from "../../parts/time";

const REFRESH_MS = 3000;

/** The page with all runs. */
export function RunsPage() {
  const { value, error, refresh } = usePolled((signal) => get<Page<RunSummary>>("runs", {}, signal), "", REFRESH_MS);
  return (
    <>
      <div class="heading">
        <h1>Runs</h1>
      </div>
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {value === null ? <Loading what="runs" /> : <RunTable runs={value.items} />}
    </>
  );
}

function RunTable({ runs }: { runs: RunSummary[] }) {
  if (runs.length === 0) return <Empty title="No runs yet" />;
  return (
    <div class="card">
      <table class="table">
        <thead>
          <tr>
            <th>Status</th>
            <th>Run</th>
            <th>Started</th>
            <th class="number">Took</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td>
                <StatusPill status={run.status} />
              </td>
              <td>
                <a href={linkTo(["runs", run.id])}>{run.id}</a>
              </td>
              <td>
                <Moment time={run.started_at} />
              </td>
              <td class="number">{run.duration_ms === null ? "" : formatDuration(run.duration_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
