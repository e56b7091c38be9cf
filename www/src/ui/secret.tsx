// A new secret, shown alone and once. Nothing else on the dialog looks like it.
import { useState } from "preact/hooks";
import { Copy } from "./copy";
import { Dialog } from "./dialog";
import { download } from "./download";
import { Icon } from "./icon";

export function SecretDialog({ secret, file, onClose }: { secret: string; file: string; onClose: () => void }) {
  const [kept, setKept] = useState(false);
  const done = (
    <button type="button" class="button primary" disabled={!kept} onClick={onClose}>
      Done
    </button>
  );
  return (
    <Dialog title="Keep this key now" firm onClose={onClose} actions={done}>
      <p>It is shown this once. It is stored nowhere: whoever loses it needs another one.</p>
      <textarea class="mono secret" readOnly rows={4} aria-label="The new key" value={secret} onFocus={(event) => event.currentTarget.select()} />
      <div class="row">
        <Copy text={secret} label="Copy" words />
        <button type="button" class="button" onClick={() => download(`${secret}\n`, file)}>
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
