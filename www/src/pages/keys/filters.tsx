import { useCapabilities } from "../../api/catalogue";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Search } from "../../ui/search";
import { SCOPES, SHORTEST_SEARCH, STATUSES, type FilterName, type Shown } from "./address";

const WORDS: Partial<Record<FilterName, string>> = {
  owner_id: "Owner", capability: "Can", expiring_within_days: "Expires within days", unused_for_days: "Unused for days",
  never_used: "Never used", signing_key: "Signed by", created_after: "Created after", created_before: "Created before (UTC)",
};

export function Filters({ shown }: { shown: Shown }) {
  const { filter, set, clear, narrowed } = shown;
  return (
    <search class="stack tight">
      <div class="filters">
        <Search label="Search keys" placeholder="Name, description, owner or hint" text={filter.search ?? ""} shortest={SHORTEST_SEARCH} onSearch={(search) => set({ search }, true)} />
        <select aria-label="Status" value={filter.status ?? ""} onChange={(event) => set({ status: event.currentTarget.value })}>
          <option value="">Any status</option>
          {STATUSES.map((status) => (
            <option key={status}>{status}</option>
          ))}
        </select>
        <select aria-label="Scope" value={filter.scope ?? ""} onChange={(event) => set({ scope: event.currentTarget.value })}>
          <option value="">Any scope</option>
          {SCOPES.map((scope) => (
            <option key={scope}>{scope}</option>
          ))}
        </select>
        <button type="button" class="button" popovertarget="more-filters">
          More filters
        </button>
        <More shown={shown} />
      </div>
      {narrowed && (
        <ul class="row" aria-label="Filters in use">
          {(Object.keys(WORDS) as FilterName[])
            .filter((name) => filter[name] !== undefined)
            .map((name) => (
              <li key={name}>
                <button type="button" class="button small" onClick={() => set({ [name]: undefined })}>
                  {WORDS[name]}
                  {name !== "never_used" && `: ${filter[name]}`} <Icon name="close" />
                </button>
              </li>
            ))}
          <li>
            <button type="button" class="button quiet small" onClick={clear}>
              Clear all
            </button>
          </li>
        </ul>
      )}
    </search>
  );
}

function More({ shown: { filter, set } }: { shown: Shown }) {
  const { data: capabilities = [] } = useCapabilities();
  const text = (name: FilterName, label: string, more: object = {}) => (
    <Field label={label}>
      {(control) => (
        <input {...control} {...more} value={String(filter[name] ?? "")} onChange={(event) => set({ [name]: event.currentTarget.value.trim() })} />
      )}
    </Field>
  );
  const day = (name: "created_after" | "created_before", label: string) => (
    <Field label={label}>
      {(control) => (
        <input
          {...control}
          type="date"
          value={filter[name]?.slice(0, 10) ?? ""}
          onChange={({ currentTarget: { value } }) => set({ [name]: value && `${value}T00:00:00Z` })}
        />
      )}
    </Field>
  );
  const days = { type: "number", min: 1, max: 3650 };
  return (
    <div id="more-filters" class="menu stack" popover="auto">
      {text("owner_id", "Owner")}
      {text("capability", "Capability", { list: "capabilities", placeholder: "rag:search" })}
      <datalist id="capabilities">
        {capabilities.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </datalist>
      {text("expiring_within_days", "Expires within days", days)}
      {text("unused_for_days", "Unused for days", days)}
      <label class="check">
        <input type="checkbox" checked={filter.never_used ?? false} onChange={(event) => set({ never_used: event.currentTarget.checked ? "true" : undefined })} />
        Never used
      </label>
      {day("created_after", "Created on or after (UTC)")}
      {day("created_before", "Created before (UTC)")}
    </div>
  );
}
