// What of the trail is shown, as it stands in the address.
import { useSearchParams } from "wouter-preact";
import type { AuditFilter } from "../../api/audit";

export const PAGE_SIZE = 50;

const NAMES = ["action", "actor", "key", "from", "to"] as const satisfies readonly (keyof AuditFilter)[];
export type Name = (typeof NAMES)[number];

export interface Shown {
  readonly filter: AuditFilter;
  readonly cursor: string | undefined;
  readonly narrowed: boolean;
  readonly set: (changes: Partial<Record<Name | "cursor", string | undefined>>) => void;
  readonly clear: () => void;
}

export function useShown(): Shown {
  const [params, setParams] = useSearchParams();
  const found = NAMES.map((name) => [name, params.get(name)?.trim() || undefined] as const).filter(([, value]) => value !== undefined);
  const change = (changes: Partial<Record<Name | "cursor", string | undefined>>) =>
    setParams((now) => {
      const next = new URLSearchParams(now);
      // A cursor belongs to the list that it was made for.
      if (!("cursor" in changes)) next.delete("cursor");
      for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
      return next;
    });
  return {
    filter: Object.fromEntries(found) as AuditFilter,
    cursor: params.get("cursor") ?? undefined,
    narrowed: found.length > 0,
    set: change,
    clear: () => change(Object.fromEntries(NAMES.map((name) => [name, undefined]))),
  };
}
