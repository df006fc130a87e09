// The filters of the list of runs: kept in the address, sent to the API.
import { address, setParameters } from "../../data/address";
import type { Query } from "../../data/api";

export const PERIODS = [
  { value: "", name: "any time", hours: 0 },
  { value: "1h", name: "last hour", hours: 1 },
  { value: "24h", name: "last 24 hours", hours: 24 },
  { value: "7d", name: "last 7 days", hours: 168 },
  { value: "30d", name: "last 30 days", hours: 720 },
] as const;

export const TRIGGERS = ["manual", "schedule", "event", "webhook", "workflow"] as const;

const MINUTE_MS = 60_000;
const FILTERS = ["status", "workflow", "trigger", "period", "id"] as const;

export type FilterName = (typeof FILTERS)[number];

export type Filters = Record<FilterName, string>;

/** Return the filters that the address names. */
export function readFilters(): Filters {
  const { query } = address.value;
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""])) as Filters;
}

/** Whether anything is filtered. */
export function isFiltered(filters: Filters): boolean {
  return FILTERS.some((name) => filters[name]);
}

/** Change a filter; choosing it again removes it. */
export function setFilter(name: FilterName, value: string): void {
  setParameters({ [name]: value });
}

/** Remove all filters. */
export function clearFilters(): void {
  setParameters(Object.fromEntries(FILTERS.map((name) => [name, null])));
}

/** Return the parameters of `GET /runs` for filters. */
export function buildQuery({ status, workflow, trigger, period, id }: Filters): Query {
  const hours = PERIODS.find(({ value }) => value === period)?.hours ?? 0;
  // To the minute, so that the pages of one list have the same filter.
  const since = hours ? new Date(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - hours * 60 * MINUTE_MS).toISOString() : "";
  return { status, workflow_id: workflow, trigger, since, id_prefix: id };
}
