// The drill for a signing key that somebody else may have: what the thief could do, what changes for customers, what is
// left to do afterwards; and the freeze itself, by a word that nobody types by accident.
import { useId, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { problem } from "../../api/problem";
import { useTurn, type SigningKey } from "../../api/signing";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { FREEZE_WORDS, ROLE_WORDS } from "./words";

interface Props {
  signingKey: SigningKey;
  /** Whether the root is kept elsewhere: then nothing counts before it has signed. */
  elsewhere: boolean;
  onClose: () => void;
}

export function FreezeDialog({ signingKey: key, elsewhere, onClose }: Props) {
  const form = useId();
  const [typed, setTyped] = useState("");
  const [force, setForce] = useState(false);
  const turn = useTurn();
  const words = FREEZE_WORDS[key.role];
  const word = `freeze ${key.role}`;
  const endless = key.live_keys_without_digest ?? 0;
  const mustForce = endless > 0 || (turn.error !== null && problem(turn.error).code === "signing_key_in_use");
  const submit = (event: Event) => {
    event.preventDefault();
    if (typed === word) turn.mutate({ kid: key.kid, action: "freeze", force });
  };
  if (turn.data) return <Frozen signingKey={turn.data.signing_key} successor={turn.data.successor} elsewhere={elsewhere} onClose={onClose} />;
  return (
    <Dialog
      wide
      title={`Freeze a stolen key: ${ROLE_WORDS[key.role].title}`}
      onClose={onClose}
      actions={
        <button form={form} class="button danger sure" disabled={typed !== word || (mustForce && !force) || turn.isPending} aria-busy={turn.isPending}>
          Freeze it now
        </button>
      }
    >
      <form id={form} class="stack" onSubmit={submit}>
        <dl class="signing-drill">
          <dt>What a thief can do until then</dt>
          <dd>{words?.thief}</dd>
          <dt>What changes for customers</dt>
          <dd>{words?.customers}</dd>
          <dt>What the origin does</dt>
          <dd>
            In one transaction: the key is frozen for ever, its successor signs (the one that is prepared, or a new one), the next manifest is signed, and the audit trail has a record.
            {elsewhere ? " The root is kept elsewhere: none of it counts before the next manifest has been signed there. Do that at once." : " Edges know within a second."}
          </dd>
          <dt>What is left to do</dt>
          <dd>
            <ol class="signing-steps">{words?.next.map((step) => <li key={step}>{step}</li>)}</ol>
          </dd>
        </dl>
        {key.live_keys !== null && <p>{key.live_keys.toLocaleString()} raw keys that it signed are in use and go on to pass.</p>}
        {mustForce && (
          <label class="check">
            <input type="checkbox" checked={force} onChange={(event) => setForce(event.currentTarget.checked)} />
            {endless > 0 ? `End the ${endless.toLocaleString()} raw keys that are older than digests: they can't be told from forged ones` : "Freeze it all the same"}
          </label>
        )}
        <Field label={`Type ${word} to go on`} hint="It can't be undone. A key that was frozen for nothing costs a rotation of what it signed.">
          {(control) => <input {...control} autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}
        </Field>
        {turn.isError && <Fault cause={turn.error} />}
      </form>
    </Dialog>
  );
}

function Frozen({ signingKey: key, successor, elsewhere, onClose }: Props & { successor: string | undefined }) {
  const done = (
    <button type="button" class="button primary" onClick={onClose}>
      Done
    </button>
  );
  return (
    <Dialog title="It is frozen" firm onClose={onClose} actions={done}>
      {successor && (
        <p>
          <code>{successor.slice(0, 12)}…</code> signs in its place.
        </p>
      )}
      {elsewhere && <p>Sign the next manifest where the root is, now: until it is in force the stolen key counts.</p>}
      <p>What is left to do:</p>
      <ol class="signing-steps">{FREEZE_WORDS[key.role]?.next.map((step) => <li key={step}>{step}</li>)}</ol>
      {key.role === "api-key" && <Link href={`/keys?signing_key=${key.kid}`}>The keys to reissue in this tenant</Link>}
    </Dialog>
  );
}
