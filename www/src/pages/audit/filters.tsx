import { useEffect, useState } from "preact/hooks";
import { Field } from "../../ui/field";
import { ACTIONS, actionWords } from "./actions";
import type { Name, Shown } from "./address";

export function Filters({ shown: { filter, set, clear, narrowed } }: { shown: Shown }) {
  const id = (name: "actor" | "key", label: string) => <KeyId label={label} value={filter[name] ?? ""} take={(id) => set({ [name]: id })} />;
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

/** A key's id. What is being typed is its own until it is done, so that records that come meanwhile don't take it away. */
function KeyId({ label, value, take }: { label: string; value: string; take: (id: string) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  return (
    <Field label={label}>
      {(control) => (
        <input
          {...control}
          class="mono"
          spellcheck={false}
          placeholder="0190…"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
          onChange={(event) => take(event.currentTarget.value.trim())}
        />
      )}
    </Field>
  );
}
