// The banner of a run: what it needs, and the buttons for it.
import { useState } from "preact/hooks";
import type { JsonObject, Run, Wait } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { loadLater } from "../../parts/later";
import { hasEnded } from "../../parts/status";
import { formatMoment, Since, Until } from "../../parts/time";
import { notify } from "../../parts/toasts";
import { formatUsage } from "../../parts/usage";
import type { Need } from "./need";
import { OperatorActions } from "./operator_actions";
import { REPAIRS } from "./repairs";
import { operate } from "./run_actions";

interface Props {
  run: Run;
  needs: Need[];
  /** The schema of the payload of a wait's event, where its node declares one. */
  schemaOf: (wait: Wait) => JsonObject | null;
  /** The `config` of a wait's node, where the definition is known. */
  configOf: (wait: Wait) => JsonObject | null;
  onRerun: () => void;
  onChanged: () => void;
}

const EventDialog = loadLater(() => import("./on_demand").then((loaded) => loaded.EventDialog));
const RepairDialog = loadLater(() => import("./on_demand").then((loaded) => loaded.RepairDialog));
const StopDialog = loadLater(() => import("./on_demand").then((loaded) => loaded.StopDialog));
const SHOWN = 4;

/** The banner. */
export function Banner({ run, needs, schemaOf, configOf, onRerun, onChanged }: Props) {
  const tone = needs[0]?.tone ?? "off";
  return (
    <section class={`card banner ${tone}`} aria-label="What this run needs">
      <div class="banner-needs">
        {needs.slice(0, SHOWN).map((need, index) => (
          <div class="banner-need" key={need.wait?.step_id ?? index}>
            <div>
              <p class="big">{need.headline}</p>
              <NeedDetails need={need} />
            </div>
            {need.wait && (
              <WaitActions run={run} wait={need.wait} schema={schemaOf(need.wait)} config={configOf(need.wait)}
                onChanged={onChanged} />
            )}
          </div>
        ))}
        {needs.length > SHOWN && <p class="muted">and {needs.length - SHOWN} more waits: see the steps</p>}
        {run.usage && <p class="sub">Used {formatUsage(run.usage)}</p>}
      </div>
      <RunActions run={run} onRerun={onRerun} onChanged={onChanged} />
    </section>
  );
}

function NeedDetails({ need: { detail, since, until } }: { need: Need }) {
  return (
    <>
      {detail && <p class="sub">{detail}</p>}
      {(since || until) && (
        <p class="sub">
          {since && (
            <>
              for <Since time={since} />
            </>
          )}
          {since && until && " · "}
          {until && (
            <>
              until {formatMoment(until)} (<Until time={until} />)
            </>
          )}
        </p>
      )}
    </>
  );
}

interface WaitProps {
  run: Run;
  wait: Wait;
  schema: JsonObject | null;
  config: JsonObject | null;
  onChanged: () => void;
}

function WaitActions({ run, wait, schema, config, onChanged }: WaitProps) {
  const [preset, setPreset] = useState<JsonObject | null>(null);
  if (wait.kind === "operator") return <OperatorActions run={run} wait={wait} config={config} onChanged={onChanged} />;
  if (wait.kind !== "event" && wait.kind !== "approval") return null;
  const approval = findApproval(schema);
  return (
    <div class="actions">
      {approval ? (
        <>
          <ActionButton needs={["run"]} class="primary" onAct={() => setPreset({ [approval]: true })}>
            Approve…
          </ActionButton>
          <ActionButton needs={["run"]} class="danger" onAct={() => setPreset({ [approval]: false })}>
            Decline…
          </ActionButton>
        </>
      ) : (
        <ActionButton needs={["run"]} class="primary" onAct={() => setPreset({})}>
          Send the event…
        </ActionButton>
      )}
      {preset && (
        <EventDialog run={run} wait={wait} schema={schema} preset={preset} onClose={() => setPreset(null)} onSent={onChanged} />
      )}
    </div>
  );
}

/** Return the property by which an event approves or declines, if the schema has one. */
function findApproval(schema: JsonObject | null): string | null {
  const properties = (schema?.properties ?? {}) as Record<string, JsonObject>;
  return ["approved", "approve", "accepted", "ok"].find((name) => properties[name]?.type === "boolean") ?? null;
}

function RunActions({ run, onRerun, onChanged }: { run: Run; onRerun: () => void; onChanged: () => void }) {
  const [isEditing, setEditing] = useState(false);
  const [stop, setStop] = useState<"cancel" | "terminate" | null>(null);
  if (hasEnded(run.status)) {
    return (
      <div class="actions">
        <ActionButton needs={["run"]} class={run.status === "failed" ? "primary" : ""} onAct={onRerun}>
          Rerun…
        </ActionButton>
      </div>
    );
  }
  const isPaused = run.waiting_for.some(({ kind }) => kind === "paused");
  const change = async (operation: "pause" | "resume", done: string) => {
    await operate(run.id, operation);
    notify(done);
    onChanged();
  };
  return (
    <div class="actions">
      {isPaused ? (
        <ActionButton needs={["run"]} class="primary" onAct={() => change("resume", "The run continues")}>
          Resume
        </ActionButton>
      ) : (
        <ActionButton needs={["run"]} onAct={() => change("pause", "The run pauses before its next node")}>
          Pause
        </ActionButton>
      )}
      <ActionButton needs={REPAIRS.set_variables.needs} onAct={() => setEditing(true)}>
        Set variables…
      </ActionButton>
      <ActionButton needs={["run"]} class="danger" onAct={() => setStop("cancel")}>
        Cancel…
      </ActionButton>
      {isEditing && (
        <RepairDialog run={run} kind="set_variables" title="Set variables" initial={{}} onClose={() => setEditing(false)}
          onDone={onChanged} />
      )}
      {stop && <StopDialog run={run} onClose={() => setStop(null)} onStopped={onChanged} />}
    </div>
  );
}
