// A button that asks the API for something: shows that it is under way, and which scope the key lacks.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { explain } from "../data/api";
import { findMissingScope } from "../data/session";
import type { Scope } from "../data/types";
import { Icon } from "./icon";
import { notify } from "./toasts";

interface Props {
  /** Scopes that the key must have. */
  needs: Scope[];
  /** What happens; an error is shown in words. */
  onAct: () => void | Promise<void>;
  children: ComponentChildren;
  class?: string;
  /** Why it cannot be done now. */
  refusal?: string | null | undefined;
  type?: "button" | "submit";
}

/** The button. */
export function ActionButton({ needs, onAct, children, class: style = "", refusal, type = "button" }: Props) {
  const [isBusy, setBusy] = useState(false);
  const missing = findMissingScope(...needs);
  const reason = missing ? `Your API key lacks the scope “${missing}”` : refusal;

  async function act(): Promise<void> {
    if (isBusy) return;
    if (reason) {
      notify(reason, true);
      return;
    }
    setBusy(true);
    try {
      await onAct();
    } catch (error) {
      notify(explain(error), true);
    } finally {
      setBusy(false);
    }
  }

  return (
    <button
      type={type}
      class={style}
      aria-disabled={isBusy || reason ? true : undefined}
      title={reason ?? undefined}
      onClick={(event) => {
        event.preventDefault();
        event.stopPropagation();
        void act();
      }}
    >
      {missing && <Icon name="lock" />}
      {children}
      {reason && <span class="hidden"> ({reason})</span>}
    </button>
  );
}
