// The rows of the ledger: what has arrived, what came of it, and the button that processes it again.
import { useState } from "preact/hooks";
import { linkTo } from "../../data/address";
import { post } from "../../data/api";
import type { Json } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import type { IconName } from "../../parts/icon";
import { JsonView } from "../../parts/json_view";
import { Pill, type Tone } from "../../parts/status";
import { Moment } from "../../parts/time";
import { notify } from "../../parts/toasts";

export interface Delivery {
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

export const OUTCOMES: Record<Delivery["outcome"], { tone: Tone; icon: IconName; word: string }> = {
  accepted: { tone: "ok", icon: "completed", word: "Accepted" },
  paused: { tone: "wait", icon: "waiting", word: "Paused" },
  duplicate: { tone: "off", icon: "skipped", word: "Duplicate" },
  rejected: { tone: "bad", icon: "failed", word: "Rejected" },
};
const SHOWN_RUNS = 3;

/** The table. */
export function DeliveryTable({ deliveries, onChanged }: { deliveries: Delivery[]; onChanged: () => void }) {
  return (
    <div class="scroll">
      <table class="table stacked deliveries">
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
