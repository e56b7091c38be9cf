import { useId, useState } from "preact/hooks";
import { problem } from "../../api/problem";
import { CEILINGS, useUpdateTenant, type Tenant, type UpdateTenant } from "../../api/tenants";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { toast } from "../../ui/toast";
import { CeilingFields, given, type CeilingTexts } from "../tenants/ceilings";

/** Sends what was changed here alone: what somebody else changes meanwhile stays. */
export function EditTenantDialog({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const form = useId();
  const [name, setName] = useState(tenant.name);
  const [prefix, setPrefix] = useState(tenant.key_prefix);
  const [texts, setTexts] = useState<CeilingTexts>(() => Object.fromEntries(CEILINGS.map((name) => [name, String(tenant.ceilings[name])])));
  const update = useUpdateTenant(tenant.id);
  const fault = update.error ? problem(update.error) : undefined;
  const change: UpdateTenant = {};
  if (name.trim() !== tenant.name) change.name = name.trim();
  if (prefix.trim() !== tenant.key_prefix) change.key_prefix = prefix.trim();
  const ceilings = given(texts, tenant.ceilings);
  if (Object.keys(ceilings).length > 0) change.ceilings = ceilings;
  const nothing = Object.keys(change).length === 0;
  const submit = (event: Event) => {
    event.preventDefault();
    update.mutate(change, { onSuccess: ({ name }) => (toast(`${name} is changed.`), onClose()) });
  };
  return (
    <Dialog
      wide
      title={`Edit ${tenant.name}`}
      onClose={onClose}
      actions={
        <button form={form} class="button primary" disabled={nothing || name.trim() === "" || update.isPending} aria-busy={update.isPending}>
          {nothing ? "Nothing has changed" : "Save"}
        </button>
      }
    >
      <form id={form} class="stack" onSubmit={submit}>
        <div class="columns">
          <Field label="Name" error={fault?.of("name")}>
            {(control) => <input {...control} required maxLength={128} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
          </Field>
          <Field label="Keys begin with" hint="Of keys made from now on; those that are there keep theirs." error={fault?.of("key_prefix")}>
            {(control) => <input {...control} class="mono" maxLength={12} spellcheck={false} value={prefix} onInput={(event) => setPrefix(event.currentTarget.value)} />}
          </Field>
        </div>
        <h3>What it may use up</h3>
        <p class="faint small">A ceiling below what is used ends nothing that is there: it keeps more from being made.</p>
        <CeilingFields texts={texts} onChange={setTexts} problem={fault} />
        {update.isError && <Fault cause={update.error} />}
      </form>
    </Dialog>
  );
}
