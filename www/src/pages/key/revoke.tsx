import { useId, useState } from "preact/hooks";
import { useRevokeKey } from "../../api/keys";
import type { Key } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { plain } from "../../ui/plain";
import { toast } from "../../ui/toast";
import { Lived } from "./suspend";

/** Ends the key for ever, once its name is typed. */
export function RevokeDialog({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const form = useId();
  const [typed, setTyped] = useState("");
  const [reason, setReason] = useState("");
  const revoke = useRevokeKey(apiKey);
  const submit = (event: Event) => {
    event.preventDefault();
    if (plain(typed) !== plain(apiKey.name)) return;
    revoke.mutate(reason.trim(), { onSuccess: () => (toast(`${apiKey.name} is revoked.`), onClose()) });
  };
  const button = (
    <button form={form} class="button danger sure" disabled={plain(typed) !== plain(apiKey.name) || revoke.isPending} aria-busy={revoke.isPending}>
      Revoke for ever
    </button>
  );
  return (
    <Dialog title={`Revoke ${apiKey.name}`} onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <p>Every raw key and token of it is refused everywhere within a second. This can't be undone; to stop a key for a while, suspend it.</p>
        <Lived apiKey={apiKey} />
        <Field label="Reason" hint="Kept, and shown with the key.">
          {(control) => <input {...control} maxLength={256} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />}
        </Field>
        <Field label={`Type ${apiKey.name} to go on`}>
          {(control) => <input {...control} autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}
        </Field>
        {revoke.isError && <Fault cause={revoke.error} />}
      </form>
    </Dialog>
  );
}
