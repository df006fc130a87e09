// The next fire times of all scheduled workflows in one list.
import { linkTo } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Workflow } from "../../data/types";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { Moment, Until } from "../../parts/time";
import { describeTrigger } from "../workflows/workflow_words";

interface Fire {
  time: string;
  workflow: Workflow;
}

const REFRESH_MS = 30_000;
const MOST = 500;
const EACH = 5;
const SHOWN = 200;

async function readFires(signal: AbortSignal): Promise<Fire[]> {
  const { items } = await get<Page<Workflow>>("workflows", { status: "active", limit: MOST }, signal);
  const scheduled = items.filter(({ trigger }) => trigger?.type === "schedule");
  const fires: Fire[] = [];
  for (const workflow of scheduled) {
    const path = `workflows/${encodeURIComponent(workflow.id)}/schedule`;
    const { next_times: times } = await get<{ next_times: string[] }>(path, { count: EACH }, signal);
    fires.push(...times.map((time) => ({ time, workflow })));
  }
  return fires.sort((a, b) => a.time.localeCompare(b.time)).slice(0, SHOWN);
}

/** The page. */
export function SchedulesPage() {
  const { value, error, refresh } = usePolled(readFires, "", REFRESH_MS);
  return (
    <>
      <div class="heading">
        <h1>Schedules</h1>
        <span class="muted">what starts next, of all active workflows</span>
      </div>
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {!value ? <Loading what="schedules" /> : value.length > 0 ? <Fires fires={value} /> : (
        <Empty title="Nothing is scheduled">
          <p>An active workflow with a trigger of type schedule is listed here.</p>
        </Empty>
      )}
    </>
  );
}

function Fires({ fires }: { fires: Fire[] }) {
  return (
    <div class="card scroll">
      <table class="table">
        <thead>
          <tr>
            <th>Fires</th>
            <th>In</th>
            <th>Workflow</th>
            <th class="wide">Schedule</th>
          </tr>
        </thead>
        <tbody>
          {fires.map(({ time, workflow }) => (
            <tr key={time + workflow.id}>
              <td class="nowrap">
                <Moment time={time} />
              </td>
              <td class="muted nowrap">
                <Until time={time} />
              </td>
              <td class="named">
                <a href={linkTo(["workflows", workflow.id])}>{workflow.name || workflow.id}</a>
              </td>
              <td class="wide">{describeTrigger(workflow.trigger)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
