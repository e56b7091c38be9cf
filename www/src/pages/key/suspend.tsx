// What is said before a key is stopped that this session, or an edge, lives by. Any other one is suspended at once: it can be resumed.
import { useCaller } from "../../api/session";
import type { Key, Session } from "../../api/types";
import { Dialog } from "../../ui/dialog";

const SYNC = "edge:sync";

/** Whether stopping it stops more than whom it was made for. */
export function needsAWord(key: Key, caller: Session): boolean {
  return key.id === caller.key || key.capabilities.includes(SYNC);
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
      {key.capabilities.includes(SYNC) && (
        <div class="notice" data-tone="bad">
          <strong>Edges follow this origin by it</strong>
          <p>Without it those that have it learn of no change, and soon answer by their outage mode: for every key.</p>
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
