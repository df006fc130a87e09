// Search and replace, loaded when somebody searches: the browser's own search sees the lines in view only.
import { openSearchPanel, search, searchKeymap } from "@codemirror/search";
import { StateEffect } from "@codemirror/state";
import { type EditorView, keymap } from "@codemirror/view";

const prepared = new WeakSet<EditorView>();

/** Open the panel. */
export function showSearch(view: EditorView): void {
  if (!prepared.has(view)) {
    view.dispatch({ effects: StateEffect.appendConfig.of([search({ top: true }), keymap.of(searchKeymap)]) });
    prepared.add(view);
  }
  openSearchPanel(view);
}
