// The end of a rotation before its time: which raw key ends, who still presents it, and the key's name typed unless it is quiet.
import { useId, useState } from "preact/hooks";
import { useEndRotation } from "../../api/keys";
import type { CredentialUsage, Key } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { plain } from "../../ui/plain";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toast";

export type How = "finish" | "cancel";

const WORDS: Record<How, { title: string; which: string; done: string; button: string }> = {
  finish: { title: "Finish the rotation", which: "old", done: "The old raw key has ended.", button: "End the old one" },
  cancel: { title: "Cancel the rotation", which: "new", done: "The new raw key has ended; the old one is as before.", button: "End the new one" },
};

interface Props {
  apiKey: Key;
  how: How;
  /** The use of the raw key that ends; `undefined`: not known, which isn't quiet. */
  ends: CredentialUsage | undefined;
  quiet: boolean;
  onClose: () => void;
}

export function EndRotationDialog({ apiKey: key, how, ends, quiet, onClose }: Props) {
  const form = useId();
  const [typed, setTyped] = useState("");
  const end = useEndRotation(key);
  const { title, which, done, button } = WORDS[how];
  const missing = !quiet && plain(typed) !== plain(key.name);
  const submit = (event: Event) => {
    event.preventDefault();
    if (missing || end.isPending) return;
    end.mutate(how, { onSuccess: () => (toast(done), onClose()) });
  };
  const sure = (
    <button form={form} class={quiet ? "button primary" : "button danger sure"} disabled={missing || end.isPending} aria-busy={end.isPending}>
      {button}
    </button>
  );
  return (
    <Dialog title={title} onClose={onClose} actions={sure}>
      <form id={form} class="stack" onSubmit={submit}>
        <p>
          The {which} raw key <code>{ends?.key_hint ?? ""}</code> is refused everywhere within a second, with the tokens made from it. This can't be undone.
        </p>
        {ends === undefined ? (
          <p>Whether somebody still presents it isn't known.</p>
        ) : (
          <p>
            It has had {ends.requests.toLocaleString()} {ends.requests === 1 ? "request" : "requests"} since the rotation, the last one <Time at={ends.last_used} />.
          </p>
        )}
        {!quiet && (
          <>
            <div class="notice" data-tone="warn">
              <strong>Whoever still presents it is locked out</strong>
              <p>Hand the {how === "finish" ? "new" : "old"} one to them first.</p>
            </div>
            <Field label={`Type ${key.name} to go on`}>
              {(control) => <input {...control} autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}
            </Field>
          </>
        )}
        {end.isError && <Fault cause={end.error} />}
      </form>
    </Dialog>
  );
}
