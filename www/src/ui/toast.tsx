// Short words on what was done. What went wrong in a form is said in the form instead.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Tone } from "./badge";
import { Icon } from "./icon";

interface Said {
  readonly id: number;
  readonly text: string;
  readonly tone: Tone;
}

const SHOWN_FOR = 6000;
let said: readonly Said[] = [];
let show: ((said: readonly Said[]) => void) | undefined;
let last = 0;

export function toast(text: string, tone: Tone = "good"): void {
  const id = ++last;
  change([...said, { id, text, tone }]);
  setTimeout(() => dismiss(id), SHOWN_FOR);
}

function dismiss(id: number): void {
  change(said.filter((one) => one.id !== id));
}

function change(to: readonly Said[]): void {
  said = to;
  show?.(to);
}

export function Toasts() {
  const [shown, setShown] = useState(said);
  const frame = useRef<HTMLDivElement>(null);
  show = setShown;
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    // Above an open dialog: whatever is shown last in the top layer is on top of it.
    if (element.matches(":popover-open")) element.hidePopover();
    if (shown.length > 0) element.showPopover();
  }, [shown]);
  return (
    <div class="toasts" popover="manual" role="status" aria-live="polite" ref={frame}>
      {shown.map(({ id, text, tone }) => (
        <div class="toast" data-tone={tone} key={id}>
          <span>{text}</span>
          <button type="button" class="button quiet icon small" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
