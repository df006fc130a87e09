// What an operator can change in a run that is in progress, and to which step or node.
import type { Box } from "../../data/layout";
import type { Run, Scope, Step } from "../../data/types";
import { hasEnded } from "../../parts/status";

export type RepairKind = "set_variables" | "set_parameters" | "set_result" | "skip_node" | "skip_wait" | "retry_now";

interface Words {
  /** On the button. */
  verb: string;
  needs: Scope[];
  /** Field of the request for the value that is typed, where one is needed. */
  value: "variables" | "parameters" | "result" | null;
}

export const REPAIRS: Record<RepairKind, Words> = {
  retry_now: { verb: "Retry now", needs: ["run"], value: null },
  skip_wait: {
    verb: "Skip the wait",
    needs: ["run"],
    value: null,
  },
  skip_node: { verb: "Skip", needs: ["run"], value: null },
  set_result: {
    verb: "Give a result",
    needs: ["run", "edit"],
    value: "result",
  },
  set_parameters: {
    verb: "Edit parameters",
    needs: ["run", "edit"],
    value: "parameters",
  },
  set_variables: {
    verb: "Set variables",
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
