// The documents of the API that the console reads; docs/api.md describes them.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type Status =
  | "pending"
  | "running"
  | "waiting"
  | "retrying"
  | "completed"
  | "failed"
  | "cancelled"
  | "skipped";

export type Scope = "read" | "run" | "edit" | "admin";

export interface Caller {
  name: string;
  customer_id: string | null;
  scopes: Scope[];
}

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface Mistake {
  severity: "error" | "warning";
  code: string;
  path: string;
  message: string;
  hint: string | null;
}

export interface RunSummary {
  id: string;
  workflow_id: string;
  workflow_version: number;
  customer_id: string;
  status: Status;
  trigger_type: string;
  started_at: string;
  completed_at: string | null;
  duration_ms: number | null;
  rerun_of: string | null;
  cancelled_by?: string | null;
  cancel_reason?: string | null;
  workflow_name?: string | null;
  /** What it waits for: `event`, `operator`, `no_worker`, … */
  reason?: string | null;
  /** Where the run waits, is tried again, or failed. */
  node_id?: string | null;
  waiting_for?: Wait[];
  error?: string | null;
  error_type?: string | null;
  keys?: Record<string, string>;
}

export interface ErrorDocument {
  message: string;
  error_type: string;
  details?: JsonObject;
  node_id?: string | null;
  recoverable?: boolean;
  timestamp?: string | null;
}

interface StepHead {
  id: string;
  node_id: string;
  path: string;
  status: Status;
  started_at: string;
  completed_at: string | null;
  retry_count: number;
  duration_ms: number | null;
  decision: Json;
  next_attempt_at?: string | null;
  /** ID of the run that a `workflow` node has called. */
  run_id?: string | null;
}

export interface Step extends StepHead {
  input_data: Json;
  output_data: Json;
  error: ErrorDocument | null;
  warnings: string[];
  attempts?: JsonObject[];
}

/** A step without its data. */
export interface StepLine extends StepHead {
  error: string | null;
  error_type: string | null;
  /** Of a loop that has ended. */
  items: { count: number; succeeded?: number; failed?: number } | null;
}

export type StatusCounts = Partial<Record<Status, number>>;

/** The steps of one node. */
export interface NodeSummary {
  node_id: string;
  statuses: StatusCounts;
  ports: Record<string, number>;
  /** The step to look at first. */
  first: StepLine;
  /** Steps with the same result have the same. */
  result: string;
}

/** The iterations of a loop, or the branches of a parallel. */
export interface PassSummary {
  node_id: string;
  statuses: StatusCounts;
  /** Some of them: those that failed or are open, and the last ones. */
  listed: { index: number; status: Status }[];
}

/** A run with its steps summed up: its size does not depend on their number. */
export interface Overview {
  run: Run;
  steps_stored: number;
  /** The newest ones. */
  steps: StepLine[];
  next_cursor: string | null;
  nodes: NodeSummary[];
  passes: PassSummary[];
}

export interface Wait {
  kind: "delay" | "event" | "approval" | "operator" | "paused" | "branch" | "retry";
  node_id?: string;
  step_id?: string;
  [detail: string]: Json | undefined;
}

/** What runs have used: executions, with events and bytes of their histories, steps, and time of workers on actions. */
export interface Usage {
  executions: number;
  events: number;
  bytes: number;
  steps: number;
  worker_seconds: number;
  /** False where more was used than is counted. */
  complete: boolean;
}

export interface Run extends RunSummary {
  workflow_name: string;
  trigger_data: Json;
  input_data: Json;
  context: JsonObject;
  current_node_id: string | null;
  error: string | null;
  failure: ErrorDocument | null;
  output: Json;
  steps_completed: number;
  steps_total: number;
  waiting_for: Wait[];
  warnings: string[];
  complete: boolean;
  parent_run_id: string | null;
  reruns: string[];
  interventions?: Json[];
  /** Counted within a minute of its end. */
  usage: Usage | null;
  links: Record<string, string>;
}

export interface Workflow {
  id: string;
  name: string | null;
  description?: string | null;
  customer_id: string;
  status: "draft" | "active" | "paused" | "archived";
  version: number;
  edited: boolean;
  created_at: string;
  updated_at: string;
  created_by: string;
  run_count: number;
  success_count: number;
  failure_count: number;
  last_run_at: string | null;
  success_rate: number;
  trigger?: JsonObject | null;
  settings?: JsonObject | null;
  nodes?: JsonObject[];
  [key: string]: Json | JsonObject[] | undefined;
}
