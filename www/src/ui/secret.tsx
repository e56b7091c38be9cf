// A new secret, shown alone and once. Nothing else on the dialog looks like it. It stands beside the pages: whatever becomes of the
// page that asked for it, or of the session, it is there until somebody says that it is kept.
import { useState } from "preact/hooks";
import { Copy } from "./copy";
import { Dialog } from "./dialog";
import { download } from "./download";
import { Icon } from "./icon";

export interface Secret {
  readonly text: string;
  /** Whose it is. */
  readonly name: string;
  readonly onKept?: () => unknown;
}

let secrets: readonly Secret[] = [];
let show: ((secrets: readonly Secret[]) => void) | undefined;

/** Shows it, after those that aren't kept yet. */
export function reveal(secret: Secret): void {
  change([...secrets, secret]);
}

function change(to: readonly Secret[]): void {
  secrets = to;
  show?.(to);
}

export function Secrets() {
  const [shown, setShown] = useState(secrets);
  show = setShown;
  const [first, ...others] = shown;
  if (!first) return null;
  return <SecretDialog key={first.text} secret={first} onClose={() => (change(others), first.onKept?.())} />;
}

function SecretDialog({ secret: { text, name }, onClose }: { secret: Secret; onClose: () => void }) {
  const [kept, setKept] = useState(false);
  const done = (
    <button type="button" class="button primary" disabled={!kept} onClick={onClose}>
      Done
    </button>
  );
  return (
    <Dialog title="Keep this key now" firm onClose={onClose} actions={done}>
      <p>
        The raw key of <strong class="break">{name}</strong> is shown this once. It is stored nowhere: whoever loses it needs another one.
      </p>
      <textarea class="mono secret" readOnly rows={4} aria-label="The new key" value={text} onFocus={(event) => event.currentTarget.select()} />
      <div class="row">
        <Copy text={text} label="Copy" words />
        <button type="button" class="button" onClick={() => download(`${text}\n`, `${name.replace(/[^\w.-]+/g, "-")}.key`)}>
          <Icon name="down" /> Download
        </button>
      </div>
      <label class="check">
        <input type="checkbox" checked={kept} onChange={(event) => setKept(event.currentTarget.checked)} />
        It is kept in a safe place.
      </label>
    </Dialog>
  );
}
