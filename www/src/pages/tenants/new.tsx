import { useId, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { problem } from "../../api/problem";
import { useCreateTenant, type CreateTenant } from "../../api/tenants";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { reveal } from "../../ui/secret";
import { toast } from "../../ui/toast";
import { CeilingFields, given, type CeilingTexts } from "./ceilings";

export function NewTenantDialog({ onClose }: { onClose: () => void }) {
  const form = useId();
  const [, navigate] = useLocation();
  const [name, setName] = useState("");
  const [slug, setSlug] = useState("");
  const [prefix, setPrefix] = useState("");
  const [ceilings, setCeilings] = useState<CeilingTexts>({});
  const [firstKey, setFirstKey] = useState(true);
  // Stands for what is being made: another tenant is another attempt.
  const attempt = useRef({ tenant: "", name: "" });
  const [page] = useState(() => location.href);
  const create = useCreateTenant(({ tenant, first_key }) => {
    toast(`${tenant.name} is there.`);
    if (first_key) reveal({ text: first_key.raw_key, name: tenant.slug, onKept: () => location.href === page && navigate(`/tenants/${tenant.id}`) });
  });
  const fault = create.error ? problem(create.error) : undefined;
  const submit = (event: Event) => {
    event.preventDefault();
    const tenant: CreateTenant = { name: name.trim(), slug: slug.trim(), first_key: firstKey };
    if (prefix.trim()) tenant.key_prefix = prefix.trim();
    const named = given(ceilings);
    if (Object.keys(named).length > 0) tenant.ceilings = named;
    const text = JSON.stringify(tenant);
    if (attempt.current.tenant !== text) attempt.current = { tenant: text, name: crypto.randomUUID() };
    create.mutate({ tenant, attempt: attempt.current.name }, { onSuccess: ({ tenant, first_key }) => (onClose(), first_key || navigate(`/tenants/${tenant.id}`)) });
  };
  return (
    <Dialog
      wide
      title="New tenant"
      onClose={onClose}
      actions={
        <button form={form} class="button primary" disabled={name.trim() === "" || slug.trim() === "" || create.isPending} aria-busy={create.isPending}>
          Create tenant
        </button>
      }
    >
      <form id={form} class="stack" onSubmit={submit}>
        <div class="columns">
          <Field label="Name" hint="For people." error={fault?.of("name")}>
            {(control) => <input {...control} required maxLength={128} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
          </Field>
          <Field label="Slug" hint="For configurations: lower-case letters, digits and dashes. It can't be changed later." error={fault?.of("slug")}>
            {(control) => <input {...control} class="mono" required maxLength={63} spellcheck={false} value={slug} onInput={(event) => setSlug(event.currentTarget.value)} />}
          </Field>
          <Field label="Keys begin with" hint="2 to 12 lower-case letters and digits. Scanners for leaked keys know them by it." error={fault?.of("key_prefix")}>
            {(control) => <input {...control} class="mono" maxLength={12} spellcheck={false} placeholder="kwd" value={prefix} onInput={(event) => setPrefix(event.currentTarget.value)} />}
          </Field>
        </div>
        <h3>What it may use up</h3>
        <CeilingFields texts={ceilings} onChange={setCeilings} problem={fault} />
        <label class="check">
          <input type="checkbox" checked={firstKey} onChange={(event) => setFirstKey(event.currentTarget.checked)} />
          Make a first management key of tenant scope, to hand over
        </label>
        {create.isError && <Fault cause={create.error} />}
      </form>
    </Dialog>
  );
}
