// Short messages about what has just been done, or refused.
import { signal } from "@preact/signals";

interface Toast {
  id: number;
  text: string;
  isBad: boolean;
}

const SHOWN_MS = 6000;
const toasts = signal<Toast[]>([]);
let last = 0;

/** Show a message for a few seconds. */
export function notify(text: string, isBad = false): void {
  const toast = { id: ++last, text, isBad };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => {
    toasts.value = toasts.value.filter(({ id }) => id !== toast.id);
  }, SHOWN_MS);
}

/** The messages, read aloud by screen readers. */
export function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map(({ id, text, isBad }) => (
        <p key={id} class={isBad ? "bad" : ""}>
          {text}
        </p>
      ))}
    </div>
  );
}
