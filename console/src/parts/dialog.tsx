// A modal dialog: the browser keeps the focus in it, and Escape closes it.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** Buttons at the end. */
  footer?: ComponentChildren;
  isWide?: boolean;
}

/** The dialog, open for as long as it is rendered. */
export function Dialog({ title, onClose, children, footer, isWide = false }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={element} class={isWide ? "wide" : ""} aria-label={title} onClose={onClose}>
      <div class="dialog-title">
        <h2>{title}</h2>
        <button type="button" class="quiet icon-only" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <div class="dialog-body">{children}</div>
      {footer && <div class="dialog-footer">{footer}</div>}
    </dialog>
  );
}
