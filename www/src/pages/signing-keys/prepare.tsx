import { usePrepare, type SigningRole } from "../../api/signing";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { toast } from "../../ui/toast";
import { ROLE_WORDS } from "./words";

/** Makes and announces the next key of a role. */
export function PrepareDialog({ role, onClose }: { role: SigningRole; onClose: () => void }) {
  const prepare = usePrepare();
  const run = () => prepare.mutate({ role }, { onSuccess: () => (toast("The next key is announced."), onClose()) });
  const { title } = ROLE_WORDS[role];
  return (
    <Dialog
      title={`Prepare the next key: ${title}`}
      onClose={onClose}
      actions={
        <button type="button" class="button primary" disabled={prepare.isPending} aria-busy={prepare.isPending} onClick={run}>
          Prepare it
        </button>
      }
    >
      <p>A new key is made, sealed and announced in the next manifest. It signs nothing until it is activated, and nobody notices anything.</p>
      <ol class="signing-steps">
        <li aria-current="step">Prepare: every edge hears of it.</li>
        <li>After two minutes, activate: it signs, and the one before goes on to count.</li>
        <li>When nothing needs the one before any more, retire that.</li>
      </ol>
      {prepare.isError && <Fault cause={prepare.error} />}
    </Dialog>
  );
}
