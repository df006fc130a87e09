// Write a definition: its text at the left, its graph and problems at the right, checked while it is typed.
import { useMemo, useState } from "preact/hooks";
import { goTo, linkTo } from "../../data/address";
import { post } from "../../data/api";
import { type Draft, dropDraft, keepDraft, nameDraft, readDraft } from "../../data/drafts";
import { parseExact } from "../../data/json";
import { usePolled } from "../../data/polling";
import { caller, customer } from "../../data/session";
import type { Workflow } from "../../data/types";
import { FoldButton, type Opened, useOpened } from "../../graph/folding";
import { Graph } from "../../graph/graph";
import { computeStates } from "../../graph/states";
import { ActionButton } from "../../parts/action_button";
import { Loading, ProblemNotice } from "../../parts/notices";
import { Pill } from "../../parts/status";
import { notify } from "../../parts/toasts";
import type { PageProps } from "../../shell/pages";
import { pickDefinition } from "../workflows/workflow_page";
import { CodeEditor } from "./code_editor";
import { SchemaCompletion } from "./completion";
import { type Checked, type DraftProblem, locateProblems, readText, sendText, useChecked } from "./draft";
import { type SimulatedRun, summarizeSteps } from "./simulated_steps";
import { Simulation } from "./simulation";

const NEW = `id: my_workflow
name: My workflow
trigger: {type: manual}
nodes:
  - id: greet
    type: set
    config: {text: "Hello {{ input.name | default('you') }}"}
  - id: done
    type: end
    config: {output: {text: "{{ text }}"}}
edges:
  - {source: trigger, target: greet}
  - {source: greet, target: done}
`;

/** The page, for a new workflow or one that is stored. */
export function EditorPage({ path }: PageProps) {
  const id = path[1] ?? null;
  const { value, error, refresh } = usePolled(() => load(id), id ?? "", 0);
  if (value) return <Editor id={id} loaded={value} />;
  if (error && !error.isUnreachable) return <ProblemNotice problem={error} onRetry={refresh} />;
  return <Loading what="the definition" />;
}

async function load(id: string | null): Promise<Draft> {
  if (id === null) return { text: NEW, etag: "" };
  const { text, isYaml, etag } = await readText(`workflows/${encodeURIComponent(id)}`);
  if (isYaml) return { text, etag };
  const workflow = parseExact(text) as unknown as Workflow;
  return { text: `${JSON.stringify(pickDefinition(workflow), null, 2)}\n`, etag };
}

function Editor({ id, loaded }: { id: string | null; loaded: Draft }) {
  const name = nameDraft(customer.value || (caller.value?.customer_id ?? ""), id);
  const [kept] = useState(() => readDraft(name));
  const [text, setText] = useState(kept?.text ?? loaded.text);
  const [version, setVersion] = useState(0);
  const [stored, setStored] = useState(loaded);
  /** The revision that the text was made from: saving is refused where there is a newer one. */
  const [etag, setEtag] = useState(kept?.etag ?? loaded.etag);
  const [target, setTarget] = useState<{ line: number; column: number } | null>(null);
  const [run, setRun] = useState<SimulatedRun | null>(null);
  const opened = useOpened();
  const checked = useChecked(text, opened);
  const located = useMemo(() => locateProblems(checked?.problems ?? []), [checked]);
  const [completion] = useState(() => new SchemaCompletion());
  const ids = checked?.layout?.boxes.map((box) => box.id).filter((each) => each !== "trigger") ?? [];
  const isChanged = text !== stored.text;

  const type = (next: string) => {
    setText(next);
    setRun(null);
    if (next === stored.text) dropDraft(name);
    else keepDraft(name, { text: next, etag });
  };
  const discard = async () => {
    const fresh = await load(id);
    dropDraft(name);
    setStored(fresh);
    setEtag(fresh.etag);
    setText(fresh.text);
    setRun(null);
    setVersion(version + 1);
  };
  async function save(): Promise<Workflow> {
    const path = id === null ? "workflows" : `workflows/${encodeURIComponent(id)}`;
    const headers: Record<string, string> = etag ? { "If-Match": etag } : {};
    const answer = await sendText<Workflow>(id === null ? "POST" : "PUT", path, text, headers);
    const saved = { text, etag: answer.headers.get("etag") ?? "" };
    setStored(saved);
    setEtag(saved.etag);
    const draft = readDraft(name);
    if (draft && draft.text !== text) keepDraft(name, { text: draft.text, etag: saved.etag });
    else dropDraft(name);
    notify("Saved");
    if (id === null) goTo(["edit", answer.body.id]);
    return answer.body;
  }
  const activate = async () => {
    const saved = await save();
    await post(`workflows/${encodeURIComponent(saved.id)}/activate`);
    goTo(["workflows", saved.id]);
  };
  const refusal = checked && !checked.isValid ? "The definition has errors: see the list of problems" : null;
  return (
    <>
      <div class="heading">
        <h1>{id === null ? "New workflow" : `Edit ${id}`}</h1>
        <Verdict checked={checked} />
        {isChanged && <span class="muted">not saved; kept in this tab</span>}
        {isChanged && etag !== stored.etag && <span class="muted">someone else has saved since</span>}
        <span class="actions">
          {isChanged && (
            <ActionButton needs={[]} class="quiet" onAct={discard}>
              Discard changes
            </ActionButton>
          )}
          {id !== null && (
            <a class="button" href={linkTo(["workflows", id])}>
              Show
            </a>
          )}
          <ActionButton needs={["edit"]} refusal={refusal} onAct={async () => void (await save())}>
            Save
          </ActionButton>
          <ActionButton needs={["edit"]} refusal={refusal} class="primary" onAct={activate}>
            Save and activate
          </ActionButton>
        </span>
      </div>
      <div class="editor-columns">
        <section class="card editor-card" aria-label="Text">
          <CodeEditor text={text} version={version} problems={located} target={target} onChange={type}
            complete={(position, typed) => completion.complete(position, typed, ids)} />
        </section>
        <div class="run-main">
          <Problems checked={checked} onGo={setTarget} />
          <GraphCard checked={checked} run={run} opened={opened} />
          <Simulation text={text} isValid={checked?.isValid ?? false} run={run} onRun={setRun} />
        </div>
      </div>
    </>
  );
}

function Verdict({ checked }: { checked: Checked | null }) {
  if (!checked) return <Pill tone="off" text="Checking…" />;
  const errors = checked.problems.filter(({ severity }) => severity === "error").length;
  const warnings = checked.problems.length - errors;
  if (checked.failure && errors === 0) return <Pill tone="wait" icon="warning" text="Not checked" />;
  if (errors > 0) return <Pill tone="bad" icon="failed" text={errors === 1 ? "1 error" : `${errors} errors`} />;
  if (warnings > 0) return <Pill tone="wait" icon="warning" text={warnings === 1 ? "1 warning" : `${warnings} warnings`} />;
  return <Pill tone="ok" icon="completed" text="Valid" />;
}

function Problems({ checked, onGo }: { checked: Checked | null; onGo: (target: { line: number; column: number }) => void }) {
  if (!checked || checked.problems.length === 0) return null;
  return (
    <section class="card" aria-label="Problems">
      <h2 class="card-title">Problems</h2>
      <ul class="problems">
        {checked.problems.map((each, index) => (
          <li key={index}>
            <Pill tone={each.severity === "error" ? "bad" : "wait"} text={each.severity} />
            <div>
              <ProblemText problem={each} onGo={onGo} />
              {each.hint && <span class="note">{each.hint}</span>}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ProblemText({ problem, onGo }: { problem: DraftProblem; onGo: (target: { line: number; column: number }) => void }) {
  const { line, column, message } = problem;
  if (!line) return <>{message}</>;
  return (
    <button type="button" class="link" onClick={() => onGo({ line, column: column ?? 1 })}>
      <span class="muted">{`line ${line}: `}</span>
      {message}
    </button>
  );
}

function GraphCard({ checked, run, opened }: { checked: Checked | null; run: SimulatedRun | null; opened: Opened }) {
  const [selected, setSelected] = useState<string | null>(null);
  const layout = checked?.layout ?? null;
  const states = useMemo(() => (layout && run ? computeStates(layout, run, summarizeSteps(run.steps)) : undefined), [layout, run]);
  return (
    <section class="card" aria-label="Graph">
      <h2 class="card-title">
        Graph
        {run && <span class="muted">as simulated</span>}
        <span class="card-tools">
          <FoldButton layout={layout} opened={opened} selected={selected} />
        </span>
      </h2>
      {layout ? (
        <Graph layout={layout} states={states} label="Graph of the text" selected={selected} onSelect={setSelected} />
      ) : (
        <p class="muted none">{checked?.failure ?? "Drawn as soon as the text can be read."}</p>
      )}
    </section>
  );
}

