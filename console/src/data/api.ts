// Requests to the API. Every error becomes a Problem with a sentence for people.
import { signal } from "@preact/signals";
import { customer, forgetKey, key } from "./session";
import type { Mistake } from "./types";

const BASE = new URL("api/v1/", document.baseURI);
const NO_ANSWER = "The server does not answer.";
const READ_AGAIN = "the page tries again by itself";
const ACTED_PERHAPS = "whether it has been done is unknown, so look before you try again";
const TIMEOUT_MS = 30_000;

/** Whether the last request reached the server. */
export const isConnected = signal(true);

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

export interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Whether the answer is wanted as it was sent, not parsed. */
  isText?: boolean;
  /** Whether it changes nothing, as every GET does. */
  isRead?: boolean;
  /** Milliseconds, 30,000 unless given. */
  timeout?: number;
}

/** What the API answers when it refuses a request (RFC 9457), or that it did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly hint: string | null = null,
    readonly errors: Mistake[] = [],
  ) {
    super(detail);
  }

  /** Whether no answer has come: it is unknown whether the server has acted. */
  get isUnreachable(): boolean {
    return this.status === 0;
  }
}

export interface Answer<Body> {
  body: Body;
  headers: Headers;
  status: number;
}

/** Return the URL of a path of the API. */
export function buildUrl(path: string, query: Query = {}): URL {
  const url = new URL(path, BASE);
  if (customer.value) url.searchParams.set("customer_id", customer.value);
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const each of value) url.searchParams.append(name, each);
    else if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** Return the headers that identify the caller. */
export function authorize(): Record<string, string> {
  return key.value ? { Authorization: `Bearer ${key.value}` } : {};
}

/** Send a request; throws a Problem. */
export async function send<Body>(method: string, path: string, options: Options = {}): Promise<Answer<Body>> {
  const headers: Record<string, string> = { Accept: "application/json", ...authorize(), ...options.headers };
  const hasBody = options.body !== undefined;
  if (hasBody) headers["Content-Type"] ??= "application/json";
  const body = hasBody ? (typeof options.body === "string" ? options.body : JSON.stringify(options.body)) : null;
  const response = await reach(buildUrl(path, options.query), { method, headers, body, cache: "no-store" }, options);
  if (!response.ok) throw await readProblem(response);
  const content = options.isText ? await response.text() : await parse(response);
  return { body: content as Body, headers: response.headers, status: response.status };
}

/** Read a document; throws a Problem. */
export async function get<Body>(path: string, query?: Query, signal?: AbortSignal): Promise<Body> {
  return (await send<Body>("GET", path, { ...(query && { query }), ...(signal && { signal }) })).body;
}

/** Have the server do something; throws a Problem. */
export async function post<Body>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Body> {
  return (await send<Body>("POST", path, { body, ...(headers && { headers }) })).body;
}

async function reach(url: URL, request: RequestInit, options: Options): Promise<Response> {
  const timeout = AbortSignal.timeout(options.timeout ?? TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const response = await fetch(url, { ...request, signal });
    isConnected.value = true;
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    isConnected.value = false;
    throw new Problem(0, "unreachable", NO_ANSWER, options.isRead || request.method === "GET" ? READ_AGAIN : ACTED_PERHAPS);
  }
}

async function parse(response: Response): Promise<unknown> {
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  return isJson && text ? JSON.parse(text) : text;
}

/** Return the problem that a response describes. */
export async function readProblem(response: Response): Promise<Problem> {
  const found = await parse(response).catch(() => null);
  const document = (found && typeof found === "object" ? found : {}) as Partial<Record<string, unknown>>;
  if (response.status === 401) forgetKey();
  return new Problem(
    response.status,
    String(document.code ?? "unknown"),
    String(document.detail ?? `The server answered ${response.status}.`),
    typeof document.hint === "string" ? document.hint : null,
    Array.isArray(document.errors) ? (document.errors as Mistake[]) : [],
  );
}

/** Return the sentence that explains an error to people. */
export function explain(error: unknown): string {
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  return error.hint ? `${error.message.replace(/\.$/, "")}: ${error.hint}` : error.message;
}

/** Return an error that was thrown as a Problem: what comes from no answer of the API gets the status, 422 in forms. */
export function toProblem(error: unknown, status = 422): Problem {
  return error instanceof Problem ? error : new Problem(status, "unknown", explain(error));
}
