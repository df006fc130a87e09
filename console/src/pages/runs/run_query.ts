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

/** What can be searched for, and the parameter of the API for it. */
export const SEARCHES = [
  { name: "id", label: "Run ID", placeholder: "Run ID, or how it begins…", parameter: "id_prefix" },
  { name: "error", label: "Error text", placeholder: "Words of the error…", parameter: "error" },
  { name: "node", label: "Node", placeholder: "ID of the node where it waits or failed…", parameter: "node" },
  { name: "key", label: "Business key", placeholder: "name=value", parameter: "key" },
] as const;

export type SearchName = (typeof SEARCHES)[number]["name"];

const MINUTE_MS = 60_000;
const FILTERS = ["status", "reason", "workflow", "trigger", "period", "error_type", "id", "error", "node", "key"] as const;

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

/** Change filters; an empty value removes one. */
export function setFilters(changes: Partial<Filters>): void {
  setParameters(changes);
}

/** Remove all filters. */
export function clearFilters(): void {
  setParameters(Object.fromEntries(FILTERS.map((name) => [name, null])));
}

/** Return the parameters of `GET /runs` for filters. */
export function buildQuery(filters: Filters): Query {
  // The text of errors is searched in one workflow or in at most 31 days.
  const period = filters.period || (filters.error && !filters.workflow ? "30d" : "");
  const hours = PERIODS.find(({ value }) => value === period)?.hours ?? 0;
  // To the minute, so that the pages of one list have the same filter.
  const since = hours ? new Date(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - hours * 60 * MINUTE_MS).toISOString() : "";
  const searches = Object.fromEntries(SEARCHES.map(({ name, parameter }) => [parameter, filters[name]]));
  if (!/^[^=]+=/.test(filters.key)) delete searches.key;
  const { status, reason, workflow, trigger, error_type } = filters;
  return { ...searches, status, reason, workflow_id: workflow, trigger, error_type, since };
}
