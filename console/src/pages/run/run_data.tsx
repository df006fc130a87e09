// The data of a run as a whole: input, output, variables, what started it.
import { useState } from "preact/hooks";
import type { Json, Run } from "../../data/types";
import { isEmpty, JsonView } from "../../parts/json_view";

/** The card. */
export function RunData({ run }: { run: Run }) {
  const parts: [string, Json | undefined][] = [
    ["Input", run.input_data],
    ["Output", run.output],
    ["Variables", run.context],
    ["Trigger", run.trigger_data],
    ["Error", run.failure as unknown as Json],
  ];
  const shown = parts.filter(([, value]) => !isEmpty(value));
  const [name, setName] = useState("Input");
  const chosen = shown.find(([each]) => each === name) ?? shown[0];
  if (!chosen) return null;
  return (
    <section class="card" aria-label="Data of the run">
      <h2 class="card-title">
        Data
        <span class="card-tools">
          {shown.map(([each]) => (
            <button key={each} type="button" class="small" aria-pressed={each === chosen[0]} onClick={() => setName(each)}>
              {each}
            </button>
          ))}
        </span>
      </h2>
      <JsonView value={chosen[1]} label={chosen[0]} />
    </section>
  );
}
