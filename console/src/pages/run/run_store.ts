// The run that the page shows: graph, list and banner are views of this one overview. The run's stream says when it has
// changed; what leaves no event in the stream (decisions, attempts) comes with the next reading.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, type Problem, toProblem } from "../../data/api";
import { follow, type StreamState } from "../../data/stream";
import type { Overview } from "../../data/types";
import { listPicks, type Picks } from "../../graph/picks";
import { hasEnded } from "../../parts/status";

const PAUSE_MS = 400;
const UNCHANGED_MS = 4000;
const LONG_AGO_MS = 60_000;
const FEW_STEPS = 100;
/** Steps that an overview lists at most. */
export const MOST_STEPS = 500;

export interface RunStore {
  overview: Overview | null;
  error: Problem | null;
  stream: StreamState;
  refresh: () => void;
  /** Have it list as many steps as an overview can. */
  widen: () => void;
}

/** Read an overview of a run, or of its chosen iterations. */
export function getOverview(id: string, picks: Picks, signal: AbortSignal, steps = 0): Promise<Overview> {
  return get<Overview>(`runs/${encodeURIComponent(id)}/overview`, { iteration: listPicks(picks), steps }, signal);
}

/** Read a run and follow it until it has ended. */
export function useRun(id: string, picks: Picks): RunStore {
  const [overview, setOverview] = useState<Overview | null>(null);
  const [error, setError] = useState<Problem | null>(null);
  const [stream, setStream] = useState<StreamState>("opening");
  const [listed, setListed] = useState(FEW_STEPS);
  const refresh = useRef(() => {});
  const isOpen = overview !== null && overview.run.id === id && !hasEnded(overview.run.status);

  useEffect(() => {
    const stop = new AbortController();
    const reader = new RunReader((signal) => getOverview(id, picks, signal, listed), stop.signal, setOverview, setError);
    refresh.current = () => reader.request();
    reader.request();
    return () => stop.abort();
  }, [id, picks, listed]);
  useEffect(() => {
    if (!isOpen) return;
    const stop = new AbortController();
    const onMessage = () => refresh.current();
    // The document has what came before: of a long run, reading all events takes minutes.
    const path = `runs/${encodeURIComponent(id)}/stream`;
    void follow(path, { onMessage, onState: setStream }, stop.signal, { tail: 1 }).then(onMessage);
    return () => stop.abort();
  }, [id, isOpen]);
  return { overview, error, stream, refresh: () => refresh.current(), widen: () => setListed(MOST_STEPS) };
}

/** Reads the overview again when asked to, one reading after the other, and every few seconds until the run has ended. */
class RunReader {
  private isReading = false;
  private isRequested = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Readings since the run has ended and its usage is counted: the list of its reruns may come a moment later. */
  private finals = 0;

  constructor(
    private readonly load: (signal: AbortSignal) => Promise<Overview>,
    private readonly signal: AbortSignal,
    private readonly onRead: (overview: Overview) => void,
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
      const overview = await this.load(this.signal);
      if (hasEnded(overview.run.status) && overview.run.complete) {
        if (hasEndedLongAgo(overview)) this.finals += 2;
        else if (overview.run.usage) this.finals += 1;
      }
      isFinal = this.finals > 1;
      this.onRead(overview);
      this.onError(null);
    } catch (error) {
      if (this.signal.aborted) return;
      this.onError(toProblem(error, 0));
    }
    // An overview that takes long to read is read less often.
    const pause = Math.max(PAUSE_MS, 3 * (performance.now() - began));
    this.timer = setTimeout(() => {
      this.isReading = false;
      if (this.isRequested) this.request();
      else if (!isFinal) this.timer = setTimeout(() => this.request(), UNCHANGED_MS);
    }, pause);
  }
}

/** Whether nothing changes any more, not even the list of reruns. */
function hasEndedLongAgo({ run: { completed_at } }: Overview): boolean {
  return completed_at !== null && Date.now() - Date.parse(completed_at) > LONG_AGO_MS;
}
