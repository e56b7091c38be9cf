import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  title: string;
  /** Called however it is closed. */
  onClose: () => void;
  children: ComponentChildren;
  /** The buttons at its foot. */
  actions?: ComponentChildren;
  wide?: boolean;
  /** Closed by its own buttons alone: where closing loses something. */
  firm?: boolean;
}

/** A modal dialog; it is open for as long as it is rendered. The platform keeps the focus in it and gives it back. */
export function Dialog({ title, onClose, children, actions, wide, firm }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const left = useRef(false);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => {
      // Closing says so, later: that it has gone is known by then to whoever took it away.
      left.current = true;
      element?.close();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : undefined}
      aria-labelledby={heading}
      onCancel={(event) => firm && event.preventDefault()}
      onClose={() => !left.current && onClose()}
      onClick={(event) => !firm && event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-head">
        <h2 id={heading}>{title}</h2>
        {!firm && (
          <button type="button" class="button quiet icon" aria-label="Close" onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        )}
      </div>
      <div class="dialog-body">{children}</div>
      {actions && <div class="dialog-foot">{actions}</div>}
    </dialog>
  );
}
