// Definitions that are typed and not saved yet, kept in the tab.

const PREFIX = "orchestrator.draft.";

export interface Draft {
  text: string;
  /** Revision of the stored definition that was edited; empty for a new one. */
  etag: string;
}

/** Return the name of the draft of a customer's workflow, or of a new one. */
export function nameDraft(customerId: string, workflowId: string | null): string {
  return `${PREFIX}${encodeURIComponent(customerId)}/${workflowId ?? ""}`;
}

/** Return a draft that is kept. */
export function readDraft(name: string): Draft | null {
  const kept = sessionStorage.getItem(name);
  return kept === null ? null : (JSON.parse(kept) as Draft);
}

/** Keep a draft. */
export function keepDraft(name: string, draft: Draft): void {
  sessionStorage.setItem(name, JSON.stringify(draft));
}

/** Drop a draft. */
export function dropDraft(name: string): void {
  sessionStorage.removeItem(name);
}

/** Drop all drafts. */
export function dropDrafts(): void {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
}
