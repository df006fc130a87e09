// What an operator can change in a run that is in progress, and to which step or node.
import { post } from "../../data/api";
import type { Box } from "../../data/layout";
import type { Json, JsonObject, Run, Scope, Step } from "../../data/types";
import { hasEnded } from "../../parts/status";

export type RepairKind = "set_variables" | "set_parameters" | "set_result" | "skip_node" | "skip_wait" | "retry_now";

interface Words {
  /** On the button. */
  verb: string;
  /** What it does, above the confirmation. */
  effect: string;
  done: string;
  needs: Scope[];
  /** Field of the request for the value that is typed, where one is needed. */
  value: "variables" | "parameters" | "result" | null;
}

export const REPAIRS: Record<RepairKind, Words> = {
  retry_now: { verb: "Retry now", effect: "The next attempt is made now.", done: "The step is tried again", needs: ["run"], value: null },
  skip_wait: {
    verb: "Skip the wait",
    effect: "A delay ends now, a wait as if its timeout had passed.",
    done: "The wait has ended",
    needs: ["run"],
    value: null,
  },
  skip_node: { verb: "Skip", effect: "It is skipped, and left by the port “next”.", done: "The node is skipped", needs: ["run"], value: null },
  set_result: {
    verb: "Give a result",
    effect: "This becomes its output; its action is not called, and it is left by the port “next”.",
    done: "The result is set",
    needs: ["run", "edit"],
    value: "result",
  },
  set_parameters: {
    verb: "Edit parameters",
    effect: "These replace parameters of the node in this run, from its next attempt on. They may hold templates.",
    done: "The parameters are set",
    needs: ["run", "edit"],
    value: "parameters",
  },
  set_variables: {
    verb: "Set variables",
    effect: "These variables get new values. Branches that have begun do not see them.",
    done: "The variables are set",
    needs: ["run", "edit"],
    value: "variables",
  },
};

/** Types of nodes that can be given a result or skipped. */
const REPLACEABLE = ["action", "workflow", "wait", "delay", "loop", "parallel"];

/** Return what can be done to a chosen step, or to a node that is still to come. */
export function listRepairs(run: Run, box: Box | null, step: Step | null): RepairKind[] {
  if (hasEnded(run.status) || !box || (step && hasEnded(step.status))) return [];
  const wait = run.waiting_for.find(({ step_id }) => step_id !== undefined && step_id === step?.id);
  const kinds: RepairKind[] = [];
  if (wait?.kind === "retry") kinds.push("retry_now");
  if (wait && ["delay", "event", "approval"].includes(wait.kind)) kinds.push("skip_wait");
  if ((wait || !step) && REPLACEABLE.includes(box.type)) kinds.push("skip_node", "set_result");
  if ((wait || !step) && box.type === "action") kinds.push("set_parameters");
  return kinds;
}

interface Request {
  kind: RepairKind;
  stepId?: string | undefined;
  nodeId?: string | undefined;
  value?: Json;
  reason: string;
}

/** Change a run. */
export function repairRun(runId: string, { kind, stepId, nodeId, value, reason }: Request): Promise<unknown> {
  const field = REPAIRS[kind].value;
  const body: JsonObject = { kind, reason };
  if (stepId) body.step_id = stepId;
  else if (nodeId) body.node_id = nodeId;
  if (field) body[field] = value ?? null;
  return post(`runs/${encodeURIComponent(runId)}/interventions`, body);
}

export interface Intervention {
  kind: RepairKind | "resolve" | "pause" | "resume";
  at: string;
  by: string;
  reason: string;
  node_id: string | null;
  step_id: string | null;
  path: string;
  names: string[];
  action: string | null;
}

const DEEDS: Record<Intervention["kind"], string> = {
  retry_now: "retried",
  skip_wait: "skipped the wait of",
  skip_node: "skipped",
  set_result: "gave a result to",
  set_parameters: "edited parameters of",
  set_variables: "set variables",
  resolve: "resolved",
  pause: "paused the run",
  resume: "resumed the run",
};

/** Return what was done, in words: `edited parameters of “Charge card”: url`. */
export function describeIntervention({ kind, node_id: node, path, names, action }: Intervention, nameOf: (id: string) => string): string {
  const target = node ? ` “${nameOf(node)}”` : "";
  const details = [...names, action ?? ""].filter(Boolean).join(", ");
  return `${DEEDS[kind] ?? kind}${target}${path ? ` (${path})` : ""}${details ? `: ${details}` : ""}`;
}
