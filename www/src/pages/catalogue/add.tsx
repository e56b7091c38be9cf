import { useId, useState } from "preact/hooks";
import { useAddCapability } from "../../api/catalogue";
import { problem } from "../../api/problem";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { toast } from "../../ui/toast";

export function AddDialog({ categories, onClose }: { categories: readonly string[]; onClose: () => void }) {
  const form = useId();
  const [value, setValue] = useState("");
  const [label, setLabel] = useState("");
  const [category, setCategory] = useState(categories[0] ?? "");
  const add = useAddCapability();
  const fault = add.error ? problem(add.error) : undefined;
  const missing = [value, label, category].some((text) => text.trim() === "");
  const submit = (event: Event) => {
    event.preventDefault();
    add.mutate({ value: value.trim(), label: label.trim(), category: category.trim() }, { onSuccess: ({ value }) => (toast(`${value} can be given from now on.`), onClose()) });
  };
  const button = (
    <button form={form} class="button primary" disabled={missing || add.isPending} aria-busy={add.isPending}>
      Add it
    </button>
  );
  return (
    <Dialog title="Add a capability" onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <p>It can be given to keys of this tenant at once. It stays for good, since keys will hold it: choose its name as you would that of a function.</p>
        <Field label="Name" hint="resource:action, as in invoices:read. Resources of Keyward's own can't be added to." error={fault?.of("value")}>
          {(control) => <input {...control} class="mono" required spellcheck={false} autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} />}
        </Field>
        <Field label="Label" hint="For people, who choose by it." error={fault?.of("label")}>
          {(control) => <input {...control} required maxLength={128} value={label} onInput={(event) => setLabel(event.currentTarget.value)} />}
        </Field>
        <Field label="Category" hint="The heading that it stands under." error={fault?.of("category")}>
          {(control) => <input {...control} required maxLength={128} list={`${form}-categories`} value={category} onInput={(event) => setCategory(event.currentTarget.value)} />}
        </Field>
        <datalist id={`${form}-categories`}>
          {categories.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        {add.isError && <Fault cause={add.error} />}
      </form>
    </Dialog>
  );
}
