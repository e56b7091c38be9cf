// Editing a key: the form, and then what would change, before anything does.
import { useId, useState } from "preact/hooks";
import { useUpdateKey } from "../../api/keys";
import { problem } from "../../api/problem";
import type { Key, LimitName, UpdateKey } from "../../api/types";
import { of, toUpdate, read } from "../../terms/draft";
import { TermsForm } from "../../terms/form";
import { TryOut } from "../../terms/try-out";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { toast } from "../../ui/toast";

export function EditDialog({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const form = useId();
  // As it was when the dialog was opened: what others change meanwhile is a conflict, and not overwritten.
  const [key] = useState(apiKey);
  const [before] = useState(() => of(key));
  const [draft, setDraft] = useState(before);
  const [checking, setChecking] = useState(false);
  const update = useUpdateKey(key);
  const change = toUpdate(draft, key);
  const nothing = Object.keys(change).length === 0;
  const broken = draft.constraints.trim() !== "" && read(draft.constraints) === undefined;
  // Whether an edit from here may have been made already.
  const [unsure, setUnsure] = useState(false);
  const failed = (cause: unknown) => {
    setChecking(false);
    if (problem(cause).code === "outcome_unknown") setUnsure(true);
  };
  const save = () => {
    const done = (now: Key) => Object.keys(toUpdate(draft, now)).every((name) => !(name in change));
    update.mutate({ change, done }, { onSuccess: () => (toast(`${key.name} is changed.`), onClose()), onError: failed });
  };
  return (
    <Dialog
      wide
      title={checking ? "What will change" : `Edit ${key.name}`}
      onClose={onClose}
      actions={
        checking ? (
          <>
            <button type="button" class="button" onClick={() => setChecking(false)}>
              Back
            </button>
            <button type="button" class="button primary" disabled={update.isPending} aria-busy={update.isPending} onClick={save}>
              Save
            </button>
          </>
        ) : (
          <button form={form} class="button primary" disabled={nothing || broken || draft.name.trim() === ""}>
            {nothing ? "Nothing has changed" : "See what will change"}
          </button>
        )
      }
    >
      {checking ? (
        <Differences apiKey={key} change={change} />
      ) : (
        <form id={form} class="stack" onSubmit={(event) => (event.preventDefault(), setChecking(true))}>
          {update.isError && <Fault cause={update.error} />}
          {update.isError && problem(update.error).code === "precondition_failed" && (
            <p>{unsure ? "Either what you saved was done after all, or somebody changed the key meanwhile." : "Somebody changed the key meanwhile."} Close this, look at what it is now, and begin anew.</p>
          )}
          <TermsForm existing draft={draft} problem={update.error ? problem(update.error) : undefined} onChange={(changes) => setDraft((now) => ({ ...now, ...changes }))} />
        </form>
      )}
      <TryOut draft={draft} before={before} />
    </Dialog>
  );
}

function Differences({ apiKey: key, change }: { apiKey: Key; change: UpdateKey }) {
  return (
    <>
      <p class="faint">Edges know within a second. Everything else stays as it is.</p>
      <dl class="changes">
        {Object.entries(change).map(([name, after]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono">
              <Difference before={was(key, name as keyof UpdateKey)} after={after} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function was(key: Key, name: keyof UpdateKey): unknown {
  const value = key[name as keyof Key & LimitName] as unknown;
  if (Array.isArray(value) && value.length === 0 && name.startsWith("allowed_")) return "any";
  return value;
}

/** Of lists what came and what went; of all else the old and the new. */
function Difference({ before, after }: { before: unknown; after: unknown }) {
  if (Array.isArray(before) && Array.isArray(after)) {
    return (
      <>
        {before.filter((value) => !after.includes(value)).map((value) => <del key={value}>{String(value)}</del>)}
        {after.filter((value) => !before.includes(value)).map((value) => <ins key={value}>{String(value)}</ins>)}
      </>
    );
  }
  return (
    <>
      <del>{words(before)}</del> <ins>{words(after)}</ins>
    </>
  );
}

function words(value: unknown): string {
  if (value === null || value === undefined) return "none";
  return typeof value === "object" ? (Array.isArray(value) ? value.join(", ") || "none" : JSON.stringify(value)) : String(value);
}
