// The run that the page shows: graph, list and banner are views of this one document. The run's stream says when it has
// changed; what leaves no event in the stream (decisions, attempts) comes with the next reading.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, Problem } from "../../data/api";
import { follow, type StreamState } from "../../data/stream";
import type { Run } from "../../data/types";
import { hasEnded } from "../../parts/status";

const PAUSE_MS = 400;
const UNCHANGED_MS = 4000;

export interface RunStore {
  run: Run | null;
  error: Problem | null;
  stream: StreamState;
  refresh: () => void;
}

/** Read a run and follow it until it has ended. */
export function useRun(id: string): RunStore {
  const [run, setRun] = useState<Run | null>(null);
  const [error, setError] = useState<Problem | null>(null);
  const [stream, setStream] = useState<StreamState>("opening");
  const refresh = useRef(() => {});
  const isOpen = run !== null && run.id === id && !hasEnded(run.status);

  useEffect(() => {
    const stop = new AbortController();
    const reader = new RunReader(id, stop.signal, setRun, setError);
    refresh.current = () => reader.request();
    reader.request();
    return () => stop.abort();
  }, [id]);
  useEffect(() => {
    if (!isOpen) return;
    const stop = new AbortController();
    const onMessage = () => refresh.current();
    // The document has what came before: of a long run, reading all events takes minutes.
    const path = `runs/${encodeURIComponent(id)}/stream`;
    void follow(path, { onMessage, onState: setStream }, stop.signal, { tail: 1 }).then(onMessage);
    return () => stop.abort();
  }, [id, isOpen]);
  return { run, error, stream, refresh: () => refresh.current() };
}

/** Reads the document again when asked to, one reading after the other, and every few seconds until the run has ended. */
class RunReader {
  private isReading = false;
  private isRequested = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Readings since the run has ended: the list of its reruns may come a moment later. */
  private finals = 0;

  constructor(
    private readonly id: string,
    private readonly signal: AbortSignal,
    private readonly onRun: (run: Run) => void,
    private readonly onError: (error: Problem | null) => void,
  ) {
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  request(): void {
    this.isRequested = true;
    if (!this.isReading && !this.signal.aborted) void this.read();
  }

  private async read(): Promise<void> {
    this.isReading = true;
    this.isRequested = false;
    clearTimeout(this.timer);
    const began = performance.now();
    let isFinal = false;
    try {
      const run = await get<Run>(`runs/${encodeURIComponent(this.id)}`, {}, this.signal);
      if (hasEnded(run.status) && run.complete) this.finals += 1;
      isFinal = this.finals > 1;
      this.onRun(run);
      this.onError(null);
    } catch (error) {
      if (this.signal.aborted) return;
      this.onError(error instanceof Problem ? error : new Problem(0, "unknown", String(error)));
    }
    // A document that takes long to read is read less often.
    const pause = Math.max(PAUSE_MS, 3 * (performance.now() - began));
    this.timer = setTimeout(() => {
      this.isReading = false;
      if (this.isRequested) this.request();
      else if (!isFinal) this.timer = setTimeout(() => this.request(), UNCHANGED_MS);
    }, pause);
  }
}
