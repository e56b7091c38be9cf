// What the list of keys shows, as it stands in the address: a link shows a colleague the same.
import { useSearchParams } from "wouter-preact";
import type { KeyList } from "../../api/keys";
import type { KeyFilter, KeyStatus, Scope } from "../../api/types";

export const PAGE_SIZE = 50;
/** With fewer letters a search finds nothing by an index. */
export const SHORTEST_SEARCH = 3;

export const STATUSES: readonly KeyStatus[] = ["active", "suspended", "expired", "revoked"];
export const SCOPES: readonly Scope[] = ["user", "tenant", "admin"];

/** Members of the filter, which have the same names in the address as in the API. */
const FILTERS = [
  "search", "status", "scope", "owner_id", "capability", "expiring_within_days", "unused_for_days", "never_used", "signing_key",
  "created_after", "created_before",
] as const satisfies readonly (keyof KeyFilter)[];
export type FilterName = (typeof FILTERS)[number];

export interface Shown {
  readonly list: KeyList;
  readonly filter: KeyFilter;
  /** Whether any filter is set. */
  readonly narrowed: boolean;
  readonly set: (changes: Partial<Record<FilterName | "sort" | "order" | "cursor", string | undefined>>, replace?: boolean) => void;
  readonly clear: () => void;
}

export function useShown(): Shown {
  const [params, setParams] = useSearchParams();
  const filter = read(params);
  const sort = one(params.get("sort"), ["created", "name", "expires"] as const) ?? "created";
  const order = one(params.get("order"), ["asc", "desc"] as const) ?? "desc";
  return {
    filter,
    narrowed: Object.keys(filter).length > 0,
    list: { ...filter, sort, order, limit: PAGE_SIZE, cursor: params.get("cursor") ?? undefined },
    set: (changes, replace = false) =>
      setParams(
        (now) => {
          const next = new URLSearchParams(now);
          // A cursor belongs to the list that it was made for.
          if (!("cursor" in changes)) next.delete("cursor");
          for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
          return next;
        },
        { replace },
      ),
    clear: () => setParams(new URLSearchParams()),
  };
}

/** The filter; what it can't be is passed over, as an address may be anybody's. */
function read(params: URLSearchParams): KeyFilter {
  const text = (name: FilterName) => params.get(name)?.trim() || undefined;
  const days = (name: FilterName) => {
    const value = Number(text(name));
    return Number.isInteger(value) && value >= 1 && value <= 3650 ? value : undefined;
  };
  const search = text("search");
  const all: { [Name in keyof KeyFilter]: KeyFilter[Name] | undefined } = {
    search: search && search.length >= SHORTEST_SEARCH ? search.slice(0, 128) : undefined,
    status: one(params.get("status"), STATUSES),
    scope: one(params.get("scope"), SCOPES),
    owner_id: text("owner_id"),
    capability: text("capability"),
    expiring_within_days: days("expiring_within_days"),
    unused_for_days: days("unused_for_days"),
    never_used: text("never_used") === "true" ? true : undefined,
    signing_key: text("signing_key"),
    created_after: text("created_after"),
    created_before: text("created_before"),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as KeyFilter;
}

function one<T extends string>(value: string | null, known: readonly T[]): T | undefined {
  return known.find((name) => name === value);
}
