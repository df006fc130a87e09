// The text editor, from a bundle of its own; a plain text field until it has been loaded, or if it cannot be.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../data/api";
import type { EditorHandle, EditorModule, Located } from "../../editor/types";

type Word = { label: string; detail: string };

interface Props {
  /** Changes of it from outside, such as a chosen example, replace the text when `version` changes. */
  text: string;
  version: number;
  problems: Located[];
  target: { line: number; column: number } | null;
  onChange: (text: string) => void;
}

const BUNDLE = new URL("static/editor.js", document.baseURI).href;
const WORD = /^[\w.]+$/;

/** The editor. */
export function CodeEditor({ text, version, problems, target, onChange }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<EditorHandle | null>(null);
  const change = useRef(onChange);
  change.current = onChange;
  const words = useRef<Word[]>([]);
  const [hasFailed, setFailed] = useState(false);
  const [isReady, setReady] = useState(false);

  useEffect(() => {
    let isGone = false;
    void loadWords().then((found) => {
      words.current = found;
    });
    import(/* @vite-ignore */ BUNDLE).then(
      ({ mountEditor }: EditorModule) => {
        if (isGone || !host.current) return;
        handle.current = mountEditor(host.current, { text, label: "Definition", onChange: (next) => change.current(next),
          listWords: () => words.current });
        setReady(true);
      },
      () => setFailed(true),
    );
    return () => {
      isGone = true;
      handle.current?.destroy();
    };
  }, []);
  useEffect(() => {
    if (version > 0) handle.current?.setText(text);
  }, [version]);
  useEffect(() => handle.current?.setProblems(problems), [problems, isReady]);
  useEffect(() => {
    if (target) handle.current?.goTo(target.line, target.column);
  }, [target]);

  if (hasFailed) {
    return (
      <textarea class="plain-editor" aria-label="Definition" spellcheck={false} value={text}
        onInput={(event) => onChange(event.currentTarget.value)} />
    );
  }
  return <div class="code-editor" ref={host} />;
}

/** Return the keys and choices of the schema, and the names of actions. */
async function loadWords(): Promise<Word[]> {
  const [schema, actions] = await Promise.all([get<unknown>("schema"), get<{ name: string }[]>("actions")]);
  const found = new Map<string, string>();
  collect(schema, found);
  for (const { name } of actions) found.set(name, "action");
  return [...found].map(([label, detail]) => ({ label, detail }));
}

function collect(value: unknown, found: Map<string, string>): void {
  if (Array.isArray(value)) for (const each of value) collect(each, found);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return;
  for (const [name, part] of Object.entries(value)) {
    if (name === "properties" && part && typeof part === "object") {
      for (const key of Object.keys(part)) if (WORD.test(key) && !found.has(key)) found.set(key, "key");
    }
    if (name === "enum" && Array.isArray(part)) {
      for (const each of part) if (typeof each === "string" && WORD.test(each) && !found.has(each)) found.set(each, "value");
    }
    collect(part, found);
  }
}
