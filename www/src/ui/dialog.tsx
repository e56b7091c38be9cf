import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useHold } from "./hold";
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
  /** Whether something was filled in, and whether the pointer was pressed beside the dialog. */
  const [dirty, beside] = [useRef(false), useRef(false)];
  useHold(firm === true);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => {
      // Closing says so, later: that it has gone is known by then to whoever took it away.
      left.current = true;
      element?.close();
    };
  }, []);
  useEffect(() => {
    if (!firm) return;
    // Of `cancel` alone browsers ask once, and close at the next press.
    const swallow = (event: KeyboardEvent) => event.key === "Escape" && event.preventDefault();
    addEventListener("keydown", swallow, true);
    return () => removeEventListener("keydown", swallow, true);
  }, [firm]);
  const closed = () => {
    if (left.current) return;
    // By a gesture of the system's, say.
    if (firm) dialog.current?.showModal();
    else onClose();
  };
  // A drag that began within, to select a text, isn't meant for what is beside; nor is a slip to cost what was filled in.
  const click = (event: Event) => {
    if (!firm && !dirty.current && beside.current && event.target === dialog.current) dialog.current?.close();
  };
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : undefined}
      aria-labelledby={heading}
      onCancel={(event) => firm && event.preventDefault()}
      onClose={closed}
      onInput={() => void (dirty.current = true)}
      onPointerDown={(event) => void (beside.current = event.target === dialog.current)}
      onClick={click}
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
