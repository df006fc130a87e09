// The drawing of a graph as the API lays it out: pixels from the top left corner, text cut to fit its box.

export interface Mark {
  kind: "when" | "retry" | "timeout" | "on_error" | "compensate";
  text: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Box {
  /** Node ID; `trigger` is the start. */
  id: string;
  type: string;
  /** Path of its scope without the numbers of iterations: empty, `each`, `each/fan[0]`. */
  scope: string;
  name: string;
  description: string;
  title: string;
  detail: string;
  x: number;
  y: number;
  width: number;
  height: number;
  marks: Mark[];
  /** IDs of the nodes that a folded loop or parallel holds. */
  folded: string[];
}

export interface ScopeFrame {
  path: string;
  owner: string;
  title: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Edge {
  kind: "forward" | "back" | "entry" | "exit" | "onward";
  source: string;
  port: string;
  target: string;
  scope: string;
  label: string;
  label_x: number;
  label_y: number;
  points: [number, number][];
}

export interface Layout {
  width: number;
  height: number;
  boxes: Box[];
  scopes: ScopeFrame[];
  edges: Edge[];
}
