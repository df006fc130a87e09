// The page of an empty installation: one click saves an example, runs it and shows the run.
import { goTo, linkTo } from "../../data/address";
import { post, Problem } from "../../data/api";
import { ActionButton } from "../../parts/action_button";
import { type Example, EXAMPLES } from "./examples";

async function tryOut({ definition, input }: Example): Promise<void> {
  const id = String(definition.id);
  try {
    await post("workflows", definition);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "workflow_exists") throw error;
  }
  await post(`workflows/${id}/activate`);
  const run = await post<{ id: string }>(`workflows/${id}/runs`, { input });
  goTo(["runs", run.id]);
}

/** The examples. */
export function FirstRun() {
  return (
    <div class="first-run">
      <h1>No workflows yet</h1>
      <p class="muted">
        Try an example: one click saves it, runs it and shows the run. Or <a href={linkTo(["edit"])}>write a workflow here</a>;{" "}
        <code>orchestrator workflows push FILE</code> saves one from a file.
      </p>
      <div class="examples">
        {EXAMPLES.map((example) => (
          <article class="card" key={String(example.definition.id)}>
            <p class="muted">{example.teaches}</p>
            <h2>{String(example.definition.name)}</h2>
            <p>{String(example.definition.description)}</p>
            <ActionButton needs={["edit", "run"]} class="primary" onAct={() => tryOut(example)}>
              Try it
            </ActionButton>
          </article>
        ))}
      </div>
    </div>
  );
}
