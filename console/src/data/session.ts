// Who uses the page: the API key of this tab, and what it allows.
import { computed, signal } from "@preact/signals";
import { dropDrafts } from "./drafts";
import type { Caller, Scope } from "./types";

const KEY = "orchestrator.key";
const CUSTOMER = "orchestrator.customer";

/** The API key, for as long as the tab is open; empty for requests from this machine without keys. */
export const key = signal(sessionStorage.getItem(KEY) ?? "");
/** Whether the API has refused the last request for want of a valid key. */
export const isKeyNeeded = signal(false);
/** The owner of the key, as soon as it is known. */
export const caller = signal<Caller | null>(null);
/** The customer that an administrator looks at; empty for all. */
export const customer = signal(sessionStorage.getItem(CUSTOMER) ?? "");

const scopes = computed(() => new Set<Scope>(caller.value?.scopes));

/** Keep the key for this tab. */
export function saveKey(value: string): void {
  key.value = value;
  sessionStorage.setItem(KEY, value);
  isKeyNeeded.value = false;
}

/** Drop a key that the API no longer accepts. */
export function forgetKey(): void {
  key.value = "";
  caller.value = null;
  sessionStorage.removeItem(KEY);
  isKeyNeeded.value = true;
}

/** Forget everything that the tab keeps for its user. */
export function signOut(): void {
  chooseCustomer("");
  dropDrafts();
  forgetKey();
}

/** Choose whose workflows and runs are shown. */
export function chooseCustomer(value: string): void {
  customer.value = value;
  if (value) sessionStorage.setItem(CUSTOMER, value);
  else sessionStorage.removeItem(CUSTOMER);
}

/** Return the first of these scopes that the key lacks. */
export function findMissingScope(...needed: Scope[]): Scope | null {
  if (caller.value === null || scopes.value.has("admin")) return null;
  return needed.find((scope) => !scopes.value.has(scope)) ?? null;
}
