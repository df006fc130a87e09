// Where a step ran: `each[7]/fan[0]` is iteration 7 of `each`, in branch 0 of `fan`.

/** The chosen iteration of each loop, by the path of its scope; a loop that is missing shows all. */
export type Picks = ReadonlyMap<string, number>;

interface Part {
  owner: string;
  index: number;
}

export interface Location {
  /** Path of the scope as in the layout: without the numbers of iterations. */
  scope: string;
  /** The iterations that the step is in, by scope of the loop's body. */
  iterations: [string, number][];
}

const PART = /^(.*?)(?:~\d+)?\[(\d+)\]$/;

function parsePart(text: string): Part {
  const [, owner = text, index = "0"] = PART.exec(text) ?? [];
  return { owner, index: Number(index) };
}

/** Return the scope and the iterations of a step's path. */
export function locate(path: string, isLoop: (id: string) => boolean): Location {
  const iterations: [string, number][] = [];
  let scope = "";
  for (const text of path ? path.split("/") : []) {
    const { owner, index } = parsePart(text);
    const parent = scope && `${scope}/`;
    scope = parent + (isLoop(owner) ? owner : `${owner}[${index}]`);
    if (isLoop(owner)) iterations.push([scope, index]);
  }
  return { scope, iterations };
}

/** Return whether a step ran in the chosen iterations. */
export function isPicked({ iterations }: Location, picks: Picks): boolean {
  return iterations.every(([scope, index]) => (picks.get(scope) ?? index) === index);
}
