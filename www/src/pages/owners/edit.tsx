import { useId, useState } from "preact/hooks";
import { useCreateOwner, useUpdateOwner, type CreateOwner, type Owner, type OwnerKind, type UpdateOwner } from "../../api/owners";
import { problem, type Problem } from "../../api/problem";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Choice, Field } from "../../ui/field";
import { toast } from "../../ui/toast";

interface Written {
  readonly kind: OwnerKind;
  readonly name: string;
  readonly email: string;
}

export function NewOwnerDialog({ onClose }: { onClose: () => void }) {
  const form = useId();
  const [id, setId] = useState("");
  const [written, setWritten] = useState<Written>({ kind: "person", name: "", email: "" });
  const create = useCreateOwner();
  const fault = create.error ? problem(create.error) : undefined;
  const submit = (event: Event) => {
    event.preventDefault();
    const owner: CreateOwner = { id: id.trim(), kind: written.kind };
    if (written.name.trim()) owner.name = written.name.trim();
    if (written.email.trim()) owner.email = written.email.trim();
    create.mutate(owner, { onSuccess: () => (toast(`${owner.name ?? owner.id} is there.`), onClose()) });
  };
  const button = (
    <button form={form} class="button primary" disabled={id.trim() === "" || create.isPending} aria-busy={create.isPending}>
      Create owner
    </button>
  );
  return (
    <Dialog title="New owner" onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <Field label="Id" hint="What keys name. It can't be changed later." error={fault?.of("id")}>
          {(control) => <input {...control} class="mono" required maxLength={128} spellcheck={false} value={id} onInput={(event) => setId(event.currentTarget.value)} />}
        </Field>
        <Fields written={written} onChange={setWritten} problem={fault} />
        {create.isError && <Fault cause={create.error} />}
      </form>
    </Dialog>
  );
}

/** Sends what was changed here alone. */
export function EditOwnerDialog({ owner, onClose }: { owner: Owner; onClose: () => void }) {
  const form = useId();
  const [written, setWritten] = useState<Written>({ kind: owner.kind, name: owner.name, email: owner.email ?? "" });
  const update = useUpdateOwner(owner.id);
  const change: UpdateOwner = {};
  if (written.kind !== owner.kind) change.kind = written.kind;
  if (written.name.trim() !== owner.name) change.name = written.name.trim();
  if (written.email.trim() !== (owner.email ?? "")) change.email = written.email.trim() || null;
  const nothing = Object.keys(change).length === 0;
  const submit = (event: Event) => {
    event.preventDefault();
    update.mutate(change, { onSuccess: ({ name }) => (toast(`${name} is changed.`), onClose()) });
  };
  const button = (
    <button form={form} class="button primary" disabled={nothing || written.name.trim() === "" || update.isPending} aria-busy={update.isPending}>
      {nothing ? "Nothing has changed" : "Save"}
    </button>
  );
  return (
    <Dialog title={`Edit ${owner.id}`} onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <Fields written={written} onChange={setWritten} problem={update.error ? problem(update.error) : undefined} />
        {update.isError && <Fault cause={update.error} />}
      </form>
    </Dialog>
  );
}

function Fields({ written, onChange, problem: fault }: { written: Written; onChange: (written: Written) => void; problem: Problem | undefined }) {
  return (
    <>
      <Choice label="Kind" value={written.kind} options={[["person", "Person"], ["service", "Service"]]} onChange={(kind) => onChange({ ...written, kind })} />
      <Field label="Name" hint="For people; the id unless named." error={fault?.of("name")}>
        {(control) => <input {...control} maxLength={128} value={written.name} onInput={(event) => onChange({ ...written, name: event.currentTarget.value })} />}
      </Field>
      <Field label="Email" hint="Where to reach them." error={fault?.of("email")}>
        {(control) => <input {...control} maxLength={254} autocomplete="off" value={written.email} onInput={(event) => onChange({ ...written, email: event.currentTarget.value })} />}
      </Field>
    </>
  );
}
