// The filters at the side, each with the number of runs it would show.
import type { ComponentChildren } from "preact";
import type { Status } from "../../data/types";
import { STATUSES } from "../../parts/status";
import { Icon } from "../../parts/icon";
import { formatNumber } from "../../parts/time";
import type { FailureGroup } from "./failure_groups";
import { REASONS } from "./row_words";
import { type FilterName, type Filters, PERIODS, setFilters, TRIGGERS } from "./run_query";

export interface Counts {
  failures: FailureGroup[];
  by_reason: Record<string, number>;
  by_status: Record<string, number>;
  by_workflow: Record<string, number>;
}

const STATES: Status[] = ["failed", "retrying", "waiting", "pending", "running", "completed", "cancelled"];
const NEEDS_PERSON = ["approval", "event", "operator", "no_worker"];
const SHOWN = 12;
/** On a phone the filters are folded: the list comes first. */
const isWide = window.matchMedia("(min-width: 901px)");

interface Props {
  filters: Filters;
  counts: Counts | null;
  names: ReadonlyMap<string, string>;
}

/** All filters. */
export function Facets({ filters, counts, names }: Props) {
  const workflows = listWorkflows(counts, names, filters.workflow);
  return (
    <details class="card facets" open={isWide.matches}>
      <summary>Filters</summary>
      <Reasons filters={filters} counts={counts} />
      <fieldset>
        <legend>Status</legend>
        {STATES.map((status) => (
          <Choice key={status} name="status" value={status} filters={filters} count={counts?.by_status[status] ?? (counts ? 0 : null)}>
            <span class={`tone ${STATUSES[status].tone}`}>
              <Icon name={STATUSES[status].icon} />
            </span>
            {STATUSES[status].word}
          </Choice>
        ))}
      </fieldset>
      {workflows.length > 0 && (
        <fieldset>
          <legend>Workflow</legend>
          {workflows.map(([id, count]) => (
            <Choice key={id} name="workflow" value={id} filters={filters} count={count}>
              {names.get(id) ?? id}
            </Choice>
          ))}
        </fieldset>
      )}
      <fieldset>
        <legend>Started by</legend>
        <Select name="trigger" filters={filters} label="Started by" options={[["", "anything"], ...TRIGGERS.map((each) => [each, each] as [string, string])]} />
      </fieldset>
      <fieldset>
        <legend>Started</legend>
        <Select name="period" filters={filters} label="Started" options={PERIODS.map(({ value, name }) => [value, name])} />
      </fieldset>
    </details>
  );
}

/** What needs a person always, other reasons only where there are runs. */
function Reasons({ filters, counts }: { filters: Filters; counts: Counts | null }) {
  const reasons = Object.keys(REASONS).filter(
    (each) => NEEDS_PERSON.includes(each) || counts?.by_reason[each] || filters.reason === each,
  );
  return (
    <fieldset>
      <legend>Needs you, or waits</legend>
      {reasons.map((reason) => (
        <Choice key={reason} name="reason" value={reason} filters={filters} count={counts ? (counts.by_reason[reason] ?? 0) : null}>
          {REASONS[reason]}
        </Choice>
      ))}
    </fieldset>
  );
}

/** Return the IDs of the workflows with the most runs, and of the chosen one. */
export function findBusiest(counts: Counts | null, chosen: string): string[] {
  return listWorkflows(counts, new Map(), chosen).map(([id]) => id);
}

function listWorkflows(counts: Counts | null, names: ReadonlyMap<string, string>, chosen: string): [string, number][] {
  const all = new Map<string, number>([...names.keys()].map((id) => [id, 0]));
  for (const [id, count] of Object.entries(counts?.by_workflow ?? {})) all.set(id, count);
  if (chosen && !all.has(chosen)) all.set(chosen, 0);
  const sorted = [...all].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return sorted.filter(([id], index) => index < SHOWN || id === chosen);
}

interface ChoiceProps {
  name: FilterName;
  value: string;
  filters: Filters;
  count: number | null;
  children: ComponentChildren;
}

function Choice({ name, value, filters, count, children }: ChoiceProps) {
  const isOn = filters[name] === value;
  return (
    <button type="button" class="facet" aria-pressed={isOn} onClick={() => setFilters({ [name]: isOn ? "" : value })}>
      <span class="facet-name">{children}</span>
      {count !== null && <span class="count">{formatNumber(count)}</span>}
    </button>
  );
}

interface SelectProps {
  name: FilterName;
  filters: Filters;
  label: string;
  options: readonly (readonly [string, string])[];
}

function Select({ name, filters, label, options }: SelectProps) {
  return (
    <select aria-label={label} value={filters[name]} onChange={(event) => setFilters({ [name]: event.currentTarget.value })}>
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}
