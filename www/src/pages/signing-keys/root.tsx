// The root, and the way of a manifest to where it is kept and back.
import { useState } from "preact/hooks";
import { useCan } from "../../api/session";
import { useProposal, usePrepare, usePublish, type Manifest, type ManifestInForce, type SigningKey } from "../../api/signing";
import { problem } from "../../api/problem";
import { Badge } from "../../ui/badge";
import { download } from "../../ui/download";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toast";
import { changes, payload } from "./manifest";
import { Entry } from "./role";
import { ROLE_WORDS, STATE_WORDS } from "./words";

/** For how many days a manifest may count that is signed elsewhere. */
const TERMS = [30, 90, 180, 400];

export function Root({ manifest, keys }: { manifest: ManifestInForce; keys: readonly SigningKey[] }) {
  const can = useCan();
  const roots = keys.filter(({ role, state }) => role === "root" && state !== "retired");
  const next = roots.find(({ state }) => state === "pre-published");
  const carried = manifest.root_is_elsewhere || next !== undefined;
  return (
    <section class="card stack" aria-labelledby="root">
      <h2 id="root">Root</h2>
      <p class="faint small">{ROLE_WORDS.root.signs}</p>
      <ul class="signing-list">
        {roots.map((key) => (
          <Entry key={key.kid} signingKey={key} />
        ))}
      </ul>
      {manifest.root_is_elsewhere ? (
        <p>It is kept on another machine. Every change of a signing key is a proposal until a manifest that says just that has been signed there.</p>
      ) : (
        <p>It is kept here, sealed in the database, and renews the manifest by itself. Whoever has this machine has it: to be safe from that, keep it on a machine of its own.</p>
      )}
      {carried && can("signing:read") && <Proposed version={manifest.version} />}
      {carried && can("signing:publish") && <Publish />}
      {can("signing:rotate") && !next && (
        <details>
          <summary>{manifest.root_is_elsewhere ? "Another root" : "Keep the root on a machine of its own"}</summary>
          <Adopt />
        </details>
      )}
    </section>
  );
}

function Proposed({ version }: { version: number }) {
  const [days, setDays] = useState(180);
  const proposal = useProposal(days, true);
  const found = proposal.data;
  const differs = found && changes(payload(found.current), found.proposed);
  return (
    <section class="stack" aria-labelledby="proposed">
      <h3 id="proposed">1. Carry the proposal to the root</h3>
      <div class="row">
        <label class="row">
          It counts for
          <select class="signing-days" value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {TERMS.map((term) => (
              <option key={term} value={term}>
                {term} days
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          class="button"
          disabled={!found}
          onClick={() => found && download(`${JSON.stringify(found, null, 2)}\n`, `proposal-${found.proposed.version}.json`, "application/json")}
        >
          <Icon name="down" /> Download version {version + 1}
        </button>
      </div>
      {proposal.isError && <Fault cause={proposal.error} retry={() => void proposal.refetch()} />}
      {differs &&
        (differs.length === 0 ? (
          <p class="faint">It says the same of every key as the one in force, for longer.</p>
        ) : (
          <ul class="signing-list" aria-label="What it changes">
            {differs.map(({ kid, role, before, after }) => (
              <li class="row" key={kid}>
                <span>{ROLE_WORDS[role].title}</span>
                <code title={kid}>{kid.slice(0, 12)}…</code>
                {before ? <Badge tone={STATE_WORDS[before].tone}>{before}</Badge> : <span class="faint">new</span>}
                <Icon name="right" />
                {after ? <Badge tone={STATE_WORDS[after].tone}>{after}</Badge> : <span class="faint">left out</span>}
              </li>
            ))}
          </ul>
        ))}
      <pre tabIndex={0} aria-label="What signs it">keyward root sign --key root.key proposal-{version + 1}.json &gt; manifest.jwt</pre>
      <p class="faint small">It says in words what changes, and asks. The first manifest of a new root takes --pinned with the old one's public key.</p>
    </section>
  );
}

function Publish() {
  const [text, setText] = useState("");
  const publish = usePublish();
  const said = payload(text.trim());
  const submit = (event: Event) => {
    event.preventDefault();
    publish.mutate(text.trim(), { onSuccess: () => (toast("The manifest is in force."), setText("")) });
  };
  const choose = async (file: File | undefined) => file && setText((await file.text()).trim());
  return (
    <form class="stack" aria-labelledby="publish" onSubmit={submit}>
      <h3 id="publish">2. Bring the signed manifest back</h3>
      <label class="row">
        The file
        <input type="file" accept=".jwt,text/plain" onChange={(event) => void choose(event.currentTarget.files?.[0])} />
      </label>
      <Field label="Or its text" error={publish.error ? problem(publish.error).of("manifest") : undefined}>
        {(control) => <textarea {...control} class="mono" rows={3} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />}
      </Field>
      {text.trim() !== "" && (said ? <Says manifest={said} /> : <p class="field-error">This is no signed manifest.</p>)}
      {publish.isError && <Fault cause={publish.error} />}
      <div class="row end">
        <button class="button primary" disabled={!said || publish.isPending} aria-busy={publish.isPending}>
          Put it into force
        </button>
      </div>
    </form>
  );
}

function Says({ manifest }: { manifest: Manifest }) {
  return (
    <p>
      Version {manifest.version}, epoch {manifest.epoch}, for {manifest.iss}; counts until <Time at={manifest.exp * 1000} />. Whether the root has signed it, the origin checks.
    </p>
  );
}

function Adopt() {
  const [text, setText] = useState("");
  const adopt = usePrepare();
  const submit = (event: Event) => {
    event.preventDefault();
    adopt.mutate({ role: "root", public_key: text.trim() }, { onSuccess: () => toast("It is the next root: carry it the first manifest.") });
  };
  return (
    <form class="stack" onSubmit={submit}>
      <ol class="signing-steps">
        <li>
          On the machine that is to hold it: <code>keyward root new root.key</code>. It prints the public key; keep a copy of the file.
        </li>
        <li>
          Add the public key to <code>KEYWARD_ROOTS</code> of every edge, beside the one that is there, and deploy them. An edge that doesn't pin the new root refuses everything once it has signed.
        </li>
        <li>Name it here, carry the proposal to it and the signed manifest back. From that moment on it is the root, and the old one is erased.</li>
        <li>
          Take the old public key out of <code>KEYWARD_ROOTS</code>.
        </li>
      </ol>
      <Field label="Public key of the next root" hint="43 characters of base64url." error={adopt.error ? problem(adopt.error).of("public_key") : undefined}>
        {(control) => <input {...control} class="mono" autocomplete="off" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />}
      </Field>
      {adopt.isError && <Fault cause={adopt.error} />}
      <div class="row end">
        <button class="button" disabled={text.trim() === "" || adopt.isPending} aria-busy={adopt.isPending}>
          Name the next root
        </button>
      </div>
    </form>
  );
}
