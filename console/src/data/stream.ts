// Follow server-sent events by fetch, which can send the API key. A broken stream continues after the last event.
import { authorize, buildUrl, isConnected, type Query, readProblem } from "./api";

export interface StreamMessage {
  event: string;
  id: string;
  data: string;
}

export type StreamState = "opening" | "live" | "broken" | "ended";

interface Handlers {
  onMessage: (message: StreamMessage) => void;
  onState: (state: StreamState) => void;
}

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
const ENDED = 204;
const FINAL = [401, 403, 404];

/** Follow a stream until it has ended or the signal aborts. */
export async function follow(path: string, { onMessage, onState }: Handlers, signal: AbortSignal, query: Query = {}): Promise<void> {
  let last = "";
  let delay = FIRST_DELAY_MS;
  onState("opening");
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream", ...authorize() };
      if (last) headers["Last-Event-ID"] = last;
      const response = await fetch(buildUrl(path, query), { headers, signal, cache: "no-store" });
      isConnected.value = true;
      if (response.status === ENDED) return onState("ended");
      if (FINAL.includes(response.status)) {
        await readProblem(response); // asks for another key where this one has been revoked
        return onState("ended");
      }
      if (response.ok && response.body) {
        onState("live");
        delay = FIRST_DELAY_MS;
        for await (const message of readMessages(response.body)) {
          last = message.id || last;
          onMessage(message);
        }
      }
    } catch {
      if (signal.aborted) return;
    }
    onState("broken");
    await sleep(delay, signal);
    delay = Math.min(delay * 2, MAX_DELAY_MS);
  }
}

/** Yield the messages of an event stream. Comments, sent to keep proxies from closing it, are passed over. */
export async function* readMessages(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamMessage> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value.replaceAll("\r\n", "\n");
      const parts = buffer.split("\n\n");
      buffer = parts.pop() ?? "";
      for (const part of parts) {
        const message = parseMessage(part);
        if (message.data) yield message;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parseMessage(text: string): StreamMessage {
  const message: StreamMessage = { event: "message", id: "", data: "" };
  const data: string[] = [];
  for (const line of text.split("\n")) {
    const [, name, value = ""] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === "event") message.event = value;
    else if (name === "id") message.id = value;
    else if (name === "data") data.push(value);
  }
  message.data = data.join("\n");
  return message;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
