// Keep what a page shows up to date: read it again every few seconds, as long as somebody looks.
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { isConnected, type Problem, toProblem } from "./api";

export interface Polled<Value> {
  value: Value | null;
  /** Why the last attempt failed; the value is then that of the last success. */
  error: Problem | null;
  refresh: () => void;
}

const MAX_DELAY_MS = 30_000;
const UNREACHABLE_MS = 2000;
const sleepers = new Set<() => void>();

// As soon as one request gets through again, everything on the page is read again.
effect(() => {
  if (isConnected.value) for (const wake of sleepers) wake();
});

/** Read a value now, whenever `key` changes, and every so many milliseconds; 0 reads it once. */
export function usePolled<Value>(
  read: (signal: AbortSignal) => Promise<Value>,
  key: string,
  milliseconds: number,
): Polled<Value> {
  const [state, setState] = useState<{ key: string; value: Value | null; error: Problem | null }>({
    key,
    value: null,
    error: null,
  });
  const wake = useRef<() => void>(() => {});
  const latest = useRef(read);
  latest.current = read;

  useEffect(() => {
    const stop = new AbortController();
    void poll(stop.signal);
    return () => {
      stop.abort();
      wake.current();
    };

    async function poll(signal: AbortSignal): Promise<void> {
      let failures = 0;
      while (!signal.aborted) {
        try {
          const value = await latest.current(signal);
          if (signal.aborted) return;
          failures = 0;
          setState({ key, value, error: null });
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          const problem = toProblem(error, 0);
          setState((before) => ({ key, value: before.key === key ? before.value : null, error: problem }));
        }
        await untilWoken(chooseDelay(milliseconds, failures));
      }
    }

    function untilWoken(delay: number): Promise<void> {
      return new Promise((resolve) => {
        const timer = delay ? setTimeout(finish, delay) : undefined;
        wake.current = finish;
        sleepers.add(finish);
        function finish(): void {
          clearTimeout(timer);
          sleepers.delete(finish);
          if (document.hidden && !stop.signal.aborted) {
            document.addEventListener("visibilitychange", finish, { once: true });
            return;
          }
          resolve();
        }
      });
    }
  }, [key, milliseconds]);

  const isCurrent = state.key === key;
  return { value: isCurrent ? state.value : null, error: isCurrent ? state.error : null, refresh: () => wake.current() };
}

function chooseDelay(milliseconds: number, failures: number): number {
  if (failures === 0) return milliseconds;
  if (!isConnected.peek()) return UNREACHABLE_MS;
  return Math.min((milliseconds || UNREACHABLE_MS) * 2 ** Math.min(failures, 4), MAX_DELAY_MS);
}
