// Failed runs that failed alike: one line for each node and type of error, with one action for all of them.
import { useState } from "preact/hooks";
import { get } from "../../data/api";
import type { Page, RunSummary } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Pill } from "../../parts/status";
import { formatNumber } from "../../parts/time";
import { BulkDialog } from "./bulk";
import { type Selection, selectFiltered } from "./bulk_job";
import { buildQuery, type Filters, setFilters } from "./run_query";

export interface FailureGroup {
  workflow_id: string;
  node_id: string | null;
  error_type: string | null;
  number: number;
  error: string | null;
}

interface Props {
  groups: FailureGroup[];
  filters: Filters;
  names: ReadonlyMap<string, string>;
}

const SHOWN = 4;
const PAGE = 500;
const MOST = 1000;

/** The largest groups of more than one run. */
export function FailureGroups({ groups, filters, names }: Props) {
  const [selection, setSelection] = useState<Selection | null>(null);
  const many = groups.filter(({ number }) => number > 1);
  return (
    <>
      {many.length > 0 && <Groups groups={many} names={names} onRerun={async (group) => setSelection(await selectGroup(group, filters))} />}
      {selection && <BulkDialog operation="rerun" selection={selection} onClose={() => setSelection(null)} />}
    </>
  );
}

/** Return the selection of the runs that a group counts. */
async function selectGroup(group: FailureGroup, filters: Filters): Promise<Selection> {
  const { workflow_id: workflow, node_id: node, error_type: type } = group;
  const wanted = { ...filters, status: "failed", reason: "", workflow, node: node ?? "", error_type: type ?? "" };
  const selection = node !== null && type !== null ? selectFiltered(wanted) : null;
  return selection ? { ...selection, rerun: false } : { ids: await listGroup(group, wanted) };
}

/** Return the runs of a group that no filter selects: those without a node or type, the newest 1,000 at most. */
async function listGroup({ node_id: node, error_type: type, number }: FailureGroup, wanted: Filters): Promise<string[]> {
  const query = { ...buildQuery(wanted), rerun: false, limit: PAGE };
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<RunSummary> = await get("runs", { ...query, cursor });
    const counted = page.items.filter((run) => (run.node_id ?? null) === node && (run.error_type ?? null) === type);
    ids.push(...counted.map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor !== null && ids.length < Math.min(number, MOST));
  return ids.slice(0, MOST);
}

interface GroupsProps {
  groups: FailureGroup[];
  names: ReadonlyMap<string, string>;
  onRerun: (group: FailureGroup) => Promise<void>;
}

function Groups({ groups: many, names, onRerun }: GroupsProps) {
  const [isWhole, setWhole] = useState(false);
  return (
    <section class="card groups" aria-label="Failed alike">
      {many.slice(0, isWhole ? many.length : SHOWN).map((group) => (
        <GroupLine key={JSON.stringify(group)} group={group} names={names} onRerun={() => onRerun(group)} />
      ))}
      {many.length > SHOWN && !isWhole && (
        <button type="button" class="quiet more" onClick={() => setWhole(true)}>
          {many.length - SHOWN} more groups
        </button>
      )}
    </section>
  );
}

interface LineProps {
  group: FailureGroup;
  names: ReadonlyMap<string, string>;
  onRerun: () => Promise<void>;
}

function GroupLine({ group, names, onRerun }: LineProps) {
  const { workflow_id: workflow, node_id: node, error_type: type, number, error } = group;
  const show = () => setFilters({ status: "failed", workflow, node: node ?? "", error_type: type ?? "", reason: "" });
  return (
    <div class="group">
      <Pill tone="bad" icon="failed" text={formatNumber(number)} />
      <p>
        <button type="button" class="link" onClick={show}>
          <b>{[names.get(workflow) ?? workflow, node].filter(Boolean).join(" / ")}</b>
        </button>
        {type && ` · ${type.replaceAll("_", " ")}`}
        {error && <span class="muted"> · “{error}”</span>}
      </p>
      <ActionButton needs={["run"]} onAct={onRerun}>
        Rerun {formatNumber(number)}
        {node ? ` from ${node}` : ""}…
      </ActionButton>
    </div>
  );
}
