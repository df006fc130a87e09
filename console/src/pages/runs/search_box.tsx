// Find a run by the beginning of its ID, or open it by the whole one.
import { useEffect, useState } from "preact/hooks";
import { setFilter } from "./run_query";

const PAUSE_MS = 300;

/** The box; the list follows a moment after the last key. */
export function SearchBox({ text }: { text: string }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => setFilter("id", typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      type="search"
      aria-label="Run ID"
      placeholder="Run ID, or how it begins…"
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  );
}
