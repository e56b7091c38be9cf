import { Field } from "../../ui/field";
import { ACTIONS, actionWords } from "./actions";
import type { Name, Shown } from "./address";

export function Filters({ shown: { filter, set, clear, narrowed } }: { shown: Shown }) {
  const id = (name: "actor" | "key", label: string) => (
    <Field label={label}>
      {(control) => (
        <input {...control} class="mono" spellcheck={false} placeholder="0190…" value={filter[name] ?? ""} onChange={(event) => set({ [name]: event.currentTarget.value.trim() })} />
      )}
    </Field>
  );
  const day = (name: Extract<Name, "from" | "to">, label: string) => (
    <Field label={label}>
      {(control) => (
        <input {...control} type="date" value={filter[name]?.slice(0, 10) ?? ""} onChange={({ currentTarget: { value } }) => set({ [name]: value && `${value}T00:00:00Z` })} />
      )}
    </Field>
  );
  return (
    <search class="audit-filters">
      <Field label="Action">
        {(control) => (
          <select {...control} value={filter.action ?? ""} onChange={(event) => set({ action: event.currentTarget.value })}>
            <option value="">Any</option>
            {ACTIONS.map((action) => (
              <option key={action} value={action}>
                {actionWords(action)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {id("key", "Done to key")}
      {id("actor", "Done by key")}
      {day("from", "From (UTC)")}
      {day("to", "Before (UTC)")}
      {narrowed && (
        <button type="button" class="button quiet" onClick={clear}>
          Clear all
        </button>
      )}
    </search>
  );
}
