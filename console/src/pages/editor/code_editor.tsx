// The text editor, from a bundle of its own; a plain text field until it has been loaded, or if it cannot be.
import { useEffect, useRef, useState } from "preact/hooks";
import type { EditorHandle, EditorOptions, Located } from "../../editor/types";

interface Props {
  /** Changes of it from outside, such as a chosen example, replace the text when `version` changes. */
  text: string;
  version: number;
  problems: Located[];
  target: { line: number; column: number } | null;
  onChange: (text: string) => void;
  complete: EditorOptions["complete"];
}

/** The editor. */
export function CodeEditor({ text, version, problems, target, onChange, complete }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<EditorHandle | null>(null);
  const change = useRef(onChange);
  change.current = onChange;
  const completer = useRef(complete);
  completer.current = complete;
  const [hasFailed, setFailed] = useState(false);
  const [isReady, setReady] = useState(false);

  useEffect(() => {
    let isGone = false;
    import("../../editor/main").then(
      ({ mountEditor }) => {
        if (isGone || !host.current) return;
        handle.current = mountEditor(host.current, { text, label: "Definition", onChange: (next) => change.current(next),
          complete: (...at) => completer.current(...at) });
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
