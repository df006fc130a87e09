// The chosen iteration of each loop, by its node ID; a loop that is missing shows all.

export type Picks = ReadonlyMap<string, number>;

const PART = /([^/]*?)(?:~\d+)?\[(\d+)\](?:\/|$)/g;

/** Return the iterations as the API is asked for them: `each[7]`. */
export function listPicks(picks: Picks): string[] {
  return [...picks].map(([loop, index]) => `${loop}[${index}]`);
}

/** Return the iterations and branches that a path goes through. */
export function readPicks(path: string): [string, number][] {
  return [...path.matchAll(PART)].map(([, owner = "", index]) => [owner, Number(index)]);
}

/** Return whether a path of a step lies in the chosen iterations. */
export function isPicked(path: string, picks: Picks): boolean {
  return readPicks(path).every(([owner, index]) => (picks.get(owner) ?? index) === index);
}
