// The published versions of a workflow: look at one, compare it with the next, publish it again.
import { address, setParameters } from "../../data/address";
import { get, post } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Workflow } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Moment } from "../../parts/time";
import { notify } from "../../parts/toasts";

interface Version {
  version: number;
  published_at: string;
  published_by: string;
  copy_of: number | null;
}

interface Props {
  workflow: Workflow;
  base: string;
  onChanged: () => void;
}

/** The card. */
export function VersionsCard({ workflow, base, onChanged }: Props) {
  const key = `${workflow.id} ${workflow.version}`;
  const { value } = usePolled((signal) => get<Page<Version>>(`${base}/versions`, {}, signal), key, 0);
  if (!value) return null;
  const shown = Number(address.value.query.get("version") ?? 0);
  const rollBack = async (version: number) => {
    await post(`${base}/rollback`, { version });
    notify(`Version ${version} is published again`);
    onChanged();
  };
  return (
    <section class="card" aria-label="Versions">
      <h2 class="card-title">Versions</h2>
      {value.items.length === 0 && <p class="muted none">Not published yet.</p>}
      <ul class="versions">
        {workflow.edited && workflow.version > 0 && (
          <li>
            <Choice text="Working copy" isShown={shown === 0} onShow={() => setParameters({ version: null, from: null })} />
            <button type="button" class="small" onClick={() => setParameters({ version: null, from: String(workflow.version) })}>
              What changed
            </button>
          </li>
        )}
        {value.items.map(({ version, published_at, published_by, copy_of }) => (
          <li key={version}>
            <div>
              <Choice text={`Version ${version}`} isShown={shown === version}
                onShow={() => setParameters({ version: String(version), from: null })} />
              <span class="note">
                <Moment time={published_at} /> by {published_by}
                {copy_of !== null && `, a copy of ${copy_of}`}
              </span>
            </div>
            {version > 1 && (
              <button type="button" class="small" onClick={() => setParameters({ version: String(version), from: String(version - 1) })}>
                What changed
              </button>
            )}
            {version !== workflow.version && (
              <ActionButton needs={["edit"]} class="small" onAct={() => rollBack(version)}>
                Roll back
              </ActionButton>
            )}
          </li>
        ))}
      </ul>
      {value.items.length > 0 && <CompareWith versions={value.items} shown={shown} />}
    </section>
  );
}

/** Choose the version that the one on the graph is compared with. */
function CompareWith({ versions, shown }: { versions: Version[]; shown: number }) {
  return (
    <label class="picker compare">
      <span>Compare {shown ? `version ${shown}` : "the working copy"} with</span>
      <select value={address.value.query.get("from") ?? ""} onChange={(event) => setParameters({ from: event.currentTarget.value })}>
        <option value="">nothing</option>
        {versions.filter(({ version }) => version !== shown).map(({ version }) => (
          <option key={version} value={version}>
            version {version}
          </option>
        ))}
      </select>
    </label>
  );
}

function Choice({ text, isShown, onShow }: { text: string; isShown: boolean; onShow: () => void }) {
  return (
    <button type="button" class="link" aria-pressed={isShown} onClick={onShow}>
      {text}
    </button>
  );
}
