// Keys under which the API does a thing once, however often it is asked.
import { useRef } from "preact/hooks";

/** Return a new key. */
export function makeKey(): string {
  return `console-${crypto.randomUUID()}`;
}

/** Return a function that returns the key for a content: the same one until the content changes. */
export function useIdempotencyKey(): (content: string) => string {
  const last = useRef({ content: "", key: "" });
  return (content) => {
    if (!last.current.key || last.current.content !== content) last.current = { content, key: makeKey() };
    return last.current.key;
  };
}
