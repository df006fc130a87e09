// What the page and the editor's bundle say to each other.

export interface Located {
  severity: "error" | "warning";
  /** From 1. */
  line: number;
  column: number;
  message: string;
  hint: string | null;
}

export interface EditorOptions {
  text: string;
  label: string;
  onChange: (text: string) => void;
  /** Words that can be completed: keys, types, actions. */
  listWords: () => { label: string; detail: string }[];
}

export interface EditorHandle {
  setText: (text: string) => void;
  setProblems: (problems: Located[]) => void;
  goTo: (line: number, column: number) => void;
  destroy: () => void;
}

export interface EditorModule {
  mountEditor: (host: HTMLElement, options: EditorOptions) => EditorHandle;
}
