// Owners: whose keys they are.
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { ask, call } from "./client";

const API = "/api/v1/owners";
const PAGE_SIZE = 100;

export type OwnerKind = "person" | "service";

export interface Owner {
  readonly id: string;
  readonly kind: OwnerKind;
  readonly name: string;
  readonly email: string | null;
  readonly disabled: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface CreateOwner {
  id: string;
  kind?: OwnerKind;
  name?: string;
  email?: string;
}

export interface UpdateOwner {
  kind?: OwnerKind;
  name?: string;
  email?: string | null;
  disabled?: boolean;
}

const OWNERS = ["owners"];

/** A page of them, by id, or of those that have the text; `cursor` is where the last one ended. */
export function useOwners(search: string | undefined, cursor: string | undefined) {
  return useQuery({
    queryKey: [...OWNERS, search, cursor],
    queryFn: async ({ signal }) => {
      const { value, next } = await ask<Owner[]>("GET", API, { query: { search, cursor, limit: PAGE_SIZE }, signal });
      return { owners: value, next: (next && new URLSearchParams(next.split("?")[1]).get("cursor")) || undefined };
    },
    placeholderData: keepPreviousData,
  });
}

export function useCreateOwner() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (owner: CreateOwner) => call<Owner>("POST", API, { body: owner }),
    onSuccess: () => client.invalidateQueries({ queryKey: OWNERS }),
  });
}

export function useUpdateOwner(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: UpdateOwner) => call<Owner>("PATCH", `${API}/${segment(id)}`, { body: change }),
    // Also of a change that was cut off: disabling an owner and suspending its keys are two steps.
    onSettled: () => Promise.all([client.invalidateQueries({ queryKey: OWNERS }), client.invalidateQueries({ queryKey: ["keys"] })]),
  });
}

/** As the origin takes an id whatever it holds: a slash within a segment would have no one reading. */
function segment(id: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(id));
  return `=${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}
