// What has arrived: events, webhook requests and starts, what came of each, and why.
import { useState } from "preact/hooks";
import { address, linkTo, setParameters } from "../../data/address";
import { get, post } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Json, Page } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { JsonView } from "../../parts/json_view";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { Pill, type Tone } from "../../parts/status";
import type { IconName } from "../../parts/icon";
import { Moment } from "../../parts/time";
import { notify } from "../../parts/toasts";

interface Delivery {
  id: string;
  kind: "event" | "webhook" | "start";
  name: string;
  key: string | null;
  outcome: "accepted" | "paused" | "duplicate" | "rejected";
  reason: string | null;
  received: Json;
  received_at: string;
  runs: { workflow_id: string; run_id: string; state: string; reason: string | null }[];
  asked: Json;
}

const OUTCOMES: Record<Delivery["outcome"], { tone: Tone; icon: IconName; word: string }> = {
  accepted: { tone: "ok", icon: "completed", word: "Accepted" },
  paused: { tone: "wait", icon: "waiting", word: "Paused" },
  duplicate: { tone: "off", icon: "skipped", word: "Duplicate" },
  rejected: { tone: "bad", icon: "failed", word: "Rejected" },
};
const KINDS = ["event", "webhook", "start"];
const REFRESH_MS = 5000;
const SHOWN_RUNS = 3;

/** The page. */
export function DeliveriesPage() {
  const { query } = address.value;
  const filters = { kind: query.get("kind") ?? "", outcome: query.get("outcome") ?? "" };
  const [limit, setLimit] = useState(50);
  const list = usePolled(
    (signal) => get<Page<Delivery>>("deliveries", { ...filters, limit }, signal),
    JSON.stringify({ ...filters, limit }),
    REFRESH_MS,
  );
  return (
    <>
      <div class="heading">
        <h1>Deliveries</h1>
        <span class="actions">
          <Filter name="kind" label="Kind" value={filters.kind} options={KINDS} />
          <Filter name="outcome" label="Outcome" value={filters.outcome} options={Object.keys(OUTCOMES)} />
        </span>
      </div>
      {list.error && !list.error.isUnreachable && <ProblemNotice problem={list.error} onRetry={list.refresh} />}
      {!list.value ? <Loading what="deliveries" /> : <Rows deliveries={list.value.items} onChanged={list.refresh} />}
      {list.value?.next_cursor && limit < 500 && (
        <button type="button" class="quiet more" onClick={() => setLimit(Math.min(limit * 2, 500))}>
          Show older deliveries
        </button>
      )}
    </>
  );
}

function Filter({ name, label, value, options }: { name: string; label: string; value: string; options: string[] }) {
  return (
    <label class="picker">
      <span>{label}</span>
      <select value={value} onChange={(event) => setParameters({ [name]: event.currentTarget.value })}>
        <option value="">all</option>
        {options.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </label>
  );
}

function Rows({ deliveries, onChanged }: { deliveries: Delivery[]; onChanged: () => void }) {
  if (deliveries.length === 0) {
    return (
      <Empty title="Nothing has arrived">
        <p>Events, webhook requests and starts of the last 90 days are listed here, with what came of them.</p>
      </Empty>
    );
  }
  return (
    <div class="card scroll">
      <table class="table">
        <thead>
          <tr>
            <th>Outcome</th>
            <th>Received</th>
            <th>What</th>
            <th class="wide">Runs, or why none</th>
            <th>
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((each) => (
            <Row key={each.id} delivery={each} onChanged={onChanged} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ delivery, onChanged }: { delivery: Delivery; onChanged: () => void }) {
  const [isOpen, setOpen] = useState(false);
  const { tone, icon, word } = OUTCOMES[delivery.outcome];
  const redrive = async () => {
    await post(`deliveries/${encodeURIComponent(delivery.id)}/redrive`);
    notify("Processed again");
    onChanged();
  };
  return (
    <tr>
      <td>
        <Pill tone={tone} icon={icon} text={word} />
      </td>
      <td class="muted nowrap">
        <Moment time={delivery.received_at} />
      </td>
      <td class="named">
        <button type="button" class="link" onClick={() => setOpen(true)}>
          {delivery.kind} {delivery.name}
        </button>
        {delivery.key && <code>{delivery.key}</code>}
        {isOpen && <Details delivery={delivery} onClose={() => setOpen(false)} />}
      </td>
      <td class="wide">
        {delivery.runs.slice(0, SHOWN_RUNS).map((run) => (
          <div key={run.run_id}>
            <a href={linkTo(["runs", run.run_id])}>{run.workflow_id}</a> {run.state}
            {run.reason && <span class="muted">: {run.reason}</span>}
          </div>
        ))}
        {delivery.runs.length > SHOWN_RUNS && <span class="muted">and {delivery.runs.length - SHOWN_RUNS} more</span>}
        {delivery.reason && <span class="muted">{delivery.reason}</span>}
      </td>
      <td>
        {delivery.kind !== "start" && (
          <ActionButton needs={["run"]} class="small" onAct={redrive}>
            Redrive
          </ActionButton>
        )}
      </td>
    </tr>
  );
}

function Details({ delivery, onClose }: { delivery: Delivery; onClose: () => void }) {
  return (
    <Dialog title={`${delivery.kind} ${delivery.name}`} onClose={onClose} isWide>
      <h3>Received</h3>
      <JsonView value={delivery.received} label="Received" />
      <h3>What the workflows answered</h3>
      <JsonView value={delivery.asked} label="Answers" />
    </Dialog>
  );
}
