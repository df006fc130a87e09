// The filters at the side, each with the number of runs it would show.
import type { ComponentChildren } from "preact";
import type { Status } from "../../data/types";
import { STATUSES } from "../../parts/status";
import { Icon } from "../../parts/icon";
import { formatNumber } from "../../parts/time";
import { type FilterName, type Filters, PERIODS, setFilter, TRIGGERS } from "./run_query";

export interface Counts {
  total: number;
  by_status: Record<string, number>;
  by_workflow: Record<string, number>;
}

const STATES: Status[] = ["failed", "running", "completed", "cancelled"];
const SHOWN = 12;

interface Props {
  filters: Filters;
  counts: Counts | null;
  names: ReadonlyMap<string, string>;
}

/** All filters. */
export function Facets({ filters, counts, names }: Props) {
  const workflows = listWorkflows(counts, names, filters.workflow);
  return (
    <aside class="card facets" aria-label="Filters">
      <fieldset>
        <legend>Status</legend>
        {STATES.map((status) => (
          <Choice key={status} name="status" value={status} filters={filters} count={counts?.by_status[status] ?? (counts ? 0 : null)}>
            <span class={`tone ${STATUSES[status].tone}`}>
              <Icon name={STATUSES[status].icon} />
            </span>
            {status === "running" ? "In progress" : STATUSES[status].word}
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
    </aside>
  );
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
    <button type="button" class="facet" aria-pressed={isOn} onClick={() => setFilter(name, isOn ? "" : value)}>
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
    <select aria-label={label} value={filters[name]} onChange={(event) => setFilter(name, event.currentTarget.value)}>
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}
