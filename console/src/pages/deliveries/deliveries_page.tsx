// What has arrived: events, webhook requests and starts, what came of each, and why.
import { address, setParameters } from "../../data/address";
import { usePages } from "../../data/pages";
import { ActionButton } from "../../parts/action_button";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { type Delivery, DeliveryTable, OUTCOMES } from "./delivery_table";

const KINDS = ["event", "webhook", "start"];
const REFRESH_MS = 5000;

/** The page. */
export function DeliveriesPage() {
  const { query } = address.value;
  const filters = { kind: query.get("kind") ?? "", outcome: query.get("outcome") ?? "", workflow_id: query.get("workflow") ?? "" };
  const list = usePages<Delivery>({
    path: "deliveries",
    query: filters,
    key: JSON.stringify(filters),
    every: REFRESH_MS,
    identify: ({ id }) => id,
  });
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
      {!list.items ? <Loading what="deliveries" /> : <Rows deliveries={list.items} onChanged={list.refresh} />}
      {list.hasMore && (
        <div class="more">
          <ActionButton needs={["read"]} class="quiet" onAct={list.loadMore}>
            Show older deliveries
          </ActionButton>
        </div>
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
