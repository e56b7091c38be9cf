import { useId, useState } from "preact/hooks";
import { useRenewKey } from "../../api/keys";
import type { Key } from "../../api/types";
import { NEVER } from "../../terms/draft";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Choice } from "../../ui/field";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toast";

const DAYS = [["30", "30 days"], ["90", "90 days"], ["365", "A year"], [NEVER, "Never"]] as const;

/** Another expiry for the same raw key. */
export function RenewDialog({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const form = useId();
  const [days, setDays] = useState<(typeof DAYS)[number][0]>("90");
  const renew = useRenewKey(apiKey);
  const submit = (event: Event) => {
    event.preventDefault();
    renew.mutate(days === NEVER ? null : Number(days), { onSuccess: () => (toast(`${apiKey.name} is renewed.`), onClose()) });
  };
  const button = (
    <button form={form} class="button primary" disabled={renew.isPending} aria-busy={renew.isPending}>
      Renew
    </button>
  );
  return (
    <Dialog title={`Renew ${apiKey.name}`} onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <p>
          It expires: <Time at={apiKey.expires_at} />. The raw key stays the same: who has it needn't do anything.
        </p>
        <Choice label="Expires, from now, after" value={days} options={DAYS} onChange={setDays} />
        {renew.isError && <Fault cause={renew.error} />}
      </form>
    </Dialog>
  );
}
