// What has arrived: events, webhook requests and starts, what came of each, and why.
import { useState } from "preact/hooks";
import { address, setParameters } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page } from "../../data/types";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { type Delivery, DeliveryTable, OUTCOMES } from "./delivery_table";

const KINDS = ["event", "webhook", "start"];
const REFRESH_MS = 5000;

/** The page. */
export function DeliveriesPage() {
  const { query } = address.value;
  const filters = { kind: query.get("kind") ?? "", outcome: query.get("outcome") ?? "", workflow_id: query.get("workflow") ?? "" };
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
        {filters.workflow_id && (
          <button type="button" class="quiet" onClick={() => setParameters({ workflow: null })}>
            of {filters.workflow_id}: show all
          </button>
        )}
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
    <div class="card">
      <DeliveryTable deliveries={deliveries} onChanged={onChanged} />
    </div>
  );
}
