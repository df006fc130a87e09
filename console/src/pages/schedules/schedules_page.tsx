// The next fire times of all scheduled workflows in one list.
import { linkTo } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Workflow } from "../../data/types";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { formatNumber, Moment, Until } from "../../parts/time";
import { describeTrigger } from "../workflows/workflow_words";

interface Fire {
  time: string;
  workflow: Workflow;
}

const REFRESH_MS = 30_000;
const PAGE = 500;
const MOST = 500;
const EACH = 5;
const SHOWN = 200;

interface Upcoming {
  fires: Fire[];
  /** Whether there are more scheduled workflows than are read. */
  isCut: boolean;
}

async function readUpcoming(signal: AbortSignal): Promise<Upcoming> {
  const scheduled = await readScheduled(signal);
  const fires: Fire[] = [];
  for (const workflow of scheduled.slice(0, MOST)) {
    const path = `workflows/${encodeURIComponent(workflow.id)}/schedule`;
    const { next_times: times } = await get<{ next_times: string[] }>(path, { count: EACH }, signal);
    fires.push(...times.map((time) => ({ time, workflow })));
  }
  const sorted = fires.sort((a, b) => a.time.localeCompare(b.time)).slice(0, SHOWN);
  return { fires: sorted, isCut: scheduled.length > MOST };
}

/** Return the active workflows with a schedule, page by page until there are more than are shown. */
async function readScheduled(signal: AbortSignal): Promise<Workflow[]> {
  const scheduled: Workflow[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Workflow> = await get("workflows", { status: "active", limit: PAGE, cursor }, signal);
    scheduled.push(...page.items.filter(({ trigger }) => trigger?.type === "schedule"));
    cursor = page.next_cursor;
  } while (cursor && scheduled.length <= MOST);
  return scheduled;
}

/** The page. */
export function SchedulesPage() {
  const { value, error, refresh } = usePolled(readUpcoming, "", REFRESH_MS);
  return (
    <>
      <div class="heading">
        <h1>Schedules</h1>
        <span class="muted">
          {value?.isCut
            ? `what starts next, of the first ${formatNumber(MOST)} scheduled workflows by ID: there are more`
            : "what starts next, of all active workflows"}
        </span>
      </div>
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {!value ? <Loading what="schedules" /> : value.fires.length > 0 ? <Fires fires={value.fires} /> : (
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
