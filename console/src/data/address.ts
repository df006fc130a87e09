// Where the page is: `#/runs/some-id?tab=input`. A hash needs no route on the server, under any prefix of a proxy.
import { signal } from "@preact/signals";

export interface Address {
  path: string[];
  query: URLSearchParams;
}

export type Parameters = Record<string, string | null | undefined>;

/** The current address. */
export const address = signal(parse(location.hash));

window.addEventListener("hashchange", () => {
  address.value = parse(location.hash);
});

function parse(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign, typed by hand
  }
}

/** Return the link to a page. */
export function linkTo(path: string[], query: Parameters = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value) parameters.set(name, value);
  }
  const text = parameters.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text && `?${text}`}`;
}

/** Go to a page. */
export function goTo(path: string[], query: Parameters = {}): void {
  location.hash = linkTo(path, query);
}

/** Change parameters of the current page, without an entry in the browser's history. */
export function setParameters(changes: Parameters): void {
  const { path, query } = address.value;
  const link = linkTo(path, { ...Object.fromEntries(query), ...changes });
  history.replaceState(null, "", link);
  address.value = parse(link);
}
