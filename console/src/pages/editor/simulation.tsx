// Run what is typed in memory, with mocks for its actions, and draw the run on the graph.
import { useState } from "preact/hooks";
import { explain, type Problem, send, toProblem } from "../../data/api";
import { parseExact } from "../../data/json";
import type { Json } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { JsonView } from "../../parts/json_view";
import { ProblemNotice } from "../../parts/notices";
import { StatusPill } from "../../parts/status";
import { formatDuration } from "../../parts/time";
import type { SimulatedRun } from "./simulated_steps";

interface Props {
  text: string;
  isValid: boolean;
  run: SimulatedRun | null;
  onRun: (run: SimulatedRun | null) => void;
}

/** The card. */
export function Simulation({ text, isValid, run, onRun }: Props) {
  const [input, setInput] = useState("{}");
  const [mocks, setMocks] = useState("{}");
  const [problem, setProblem] = useState<Problem | null>(null);

  async function simulate(): Promise<void> {
    setProblem(null);
    try {
      const body = buildBody(text, read("input", input), read("answers", mocks) ?? {});
      const headers = { "Content-Type": "application/yaml" };
      onRun((await send<SimulatedRun>("POST", "workflows/simulate", { body, headers, isRead: true })).body);
    } catch (error) {
      onRun(null);
      setProblem(toProblem(error));
    }
  }

  return (
    <section class="card" aria-label="Simulation">
      <h2 class="card-title">
        Simulate
        {run && <StatusPill status={run.status} />}
        {run && run.duration_ms !== null && <span class="muted">{formatDuration(run.duration_ms)} of virtual time</span>}
        <span class="card-tools">
          <ActionButton needs={["read"]} class="small" refusal={isValid ? null : "The definition has errors"} onAct={simulate}>
            Simulate
          </ActionButton>
        </span>
      </h2>
      <div class="simulation">
        <label class="field">
          <span>Input (JSON)</span>
          <textarea rows={3} spellcheck={false} value={input} onInput={(event) => setInput(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Answers of actions (JSON)</span>
          <textarea rows={3} spellcheck={false} value={mocks} onInput={(event) => setMocks(event.currentTarget.value)} />
          <small>{'{"http.request": {"output": {"status": 200, "body": {}}}}; without one, an action answers {}'}</small>
        </label>
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {run && <JsonView value={run.error ?? run.output} label={run.error ? "Error" : "Output"} />}
    </section>
  );
}

/** What begins a YAML document, after comments and directives, and what ends it. */
const BEGIN = /^(?:[ \t]*(?:#.*|%.*)?\r?\n)*---(?=\s|$)/;
const END = /^\.\.\.\s*$[^]*/m;

/** Return the request as YAML, which holds a definition in YAML as well as one in JSON. */
function buildBody(text: string, input: Json, actions: Json): string {
  const definition = text.replace(BEGIN, "").replace(END, "").replaceAll(/^/gm, "  ");
  return `definition:\n${definition}\ninput: ${JSON.stringify(input)}\nactions: ${JSON.stringify(actions)}\n`;
}

function read(name: string, text: string): Json {
  try {
    return text.trim() ? parseExact(text) : null;
  } catch (error) {
    throw new Error(`The ${name} is not JSON: ${explain(error)}`);
  }
}
