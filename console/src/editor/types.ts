// What the page and the editor's bundle say to each other.

export interface Located {
  severity: "error" | "warning";
  /** From 1. */
  line: number;
  column: number;
  message: string;
  hint: string | null;
}

/** Where a word is in the document. */
export interface Position {
  /** Keys and numbers that lead to it, from the top. */
  path: (string | number)[];
  /** What else the mappings on the way hold: simple values by key, for the document and each step of the path. */
  siblings: Record<string, string>[];
  /** Whether it is in an expression of a template. */
  isTemplate: boolean;
}

export interface Completion {
  label: string;
  /** What kind of thing it is, in a word. */
  detail: string;
  /** What it means. */
  info?: string;
}

export interface EditorOptions {
  text: string;
  label: string;
  onChange: (text: string) => void;
  /** Return what can be written at a position. */
  complete: (position: Position, text: string) => Promise<Completion[]>;
}

export interface EditorHandle {
  setText: (text: string) => void;
  setProblems: (problems: Located[]) => void;
  goTo: (line: number, column: number) => void;
  destroy: () => void;
}
