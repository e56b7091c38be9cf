// Owners: whose keys they are.
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { useRef } from "preact/hooks";
import { certainly } from "./certain";
import { ask, call } from "./client";
import { problem } from "./problem";

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
  // Where it isn't known whether it was made, one that is there already may be it.
  const unsure = useRef("");
  return useMutation({
    mutationFn: async (owner: CreateOwner) => {
      const text = JSON.stringify(owner);
      const look = () => call<Owner[]>("GET", API, { query: { search: owner.id, limit: PAGE_SIZE } }).then((found) => found.find(({ id }) => id === owner.id));
      const made = (now: Owner | undefined) => now !== undefined && alike(now, owner);
      try {
        return await certainly<Owner | undefined>(() => call<Owner>("POST", API, { body: owner }), look, made);
      } catch (cause) {
        const { code } = problem(cause);
        if (code === "outcome_unknown") unsure.current = text;
        if (code !== "already_exists" || unsure.current !== text) throw cause;
        const there = await look();
        if (!made(there)) throw cause;
        return there;
      }
    },
    onSuccess: () => client.invalidateQueries({ queryKey: OWNERS }),
  });
}

/** Whether an owner is the one that was asked for. */
function alike(owner: Owner, { kind = "person", name, email }: CreateOwner): boolean {
  return owner.kind === kind && owner.name === (name ?? owner.id) && owner.email === (email ?? null) && !owner.disabled;
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
