// What is said before a key is stopped that this session, or an edge, lives by. Any other one is suspended at once: it can be resumed.
import { useCaller } from "../../api/session";
import type { Key, Session } from "../../api/types";
import { Dialog } from "../../ui/dialog";

/** Whether edges can follow by it. */
function syncs({ capabilities }: Key): boolean {
  return capabilities.includes("edge:sync") || capabilities.includes("edge:*");
}

/** Whether stopping it stops more than whom it was made for. */
export function needsAWord(key: Key, caller: Session): boolean {
  return key.id === caller.key || syncs(key);
}

/** Of a key that is about to be stopped: that it is one's own, or an edge's. */
export function Lived({ apiKey: key }: { apiKey: Key }) {
  const caller = useCaller();
  return (
    <>
      {key.id === caller.key && (
        <div class="notice" data-tone="bad">
          <strong>That is your own key</strong>
          <p>This session ends with it. Only another key can resume it.</p>
        </div>
      )}
      {syncs(key) && (
        <div class="notice" data-tone="bad">
          <strong>Edges can follow this origin by it</strong>
          <p>An edge that does learns of no change from then on, and soon answers by its outage mode: for every key.</p>
        </div>
      )}
    </>
  );
}

export function SuspendDialog({ apiKey: key, onSure, onClose }: { apiKey: Key; onSure: () => void; onClose: () => void }) {
  const sure = (
    <button type="button" class="button danger sure" onClick={onSure}>
      Suspend it all the same
    </button>
  );
  return (
    <Dialog title={`Suspend ${key.name}`} onClose={onClose} actions={sure}>
      <Lived apiKey={key} />
    </Dialog>
  );
}
