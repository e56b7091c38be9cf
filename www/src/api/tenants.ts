// Tenants, and what they may use up.
import { useMutation, useQuery } from "@tanstack/preact-query";
import { shared } from "./cache";
import { ask, below, call } from "./client";
import type { KeyCreated } from "./types";

const API = "/api/v1/tenants";
/** More than that are found by their id. */
export const MOST_TENANTS = 1000;

export const CEILINGS = ["live_keys", "creates_per_hour", "policies", "changes_per_hour"] as const;
export type CeilingName = (typeof CEILINGS)[number];
export type Ceilings = Readonly<Record<CeilingName, number>>;

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly key_prefix: string;
  readonly ceilings: Ceilings;
  /** Where one tenant is asked for. */
  readonly used?: Ceilings;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface CreateTenant {
  slug: string;
  name: string;
  key_prefix?: string;
  ceilings?: Partial<Record<CeilingName, number>>;
  first_key?: boolean;
}

export interface UpdateTenant {
  name?: string;
  key_prefix?: string;
  ceilings?: Partial<Record<CeilingName, number>>;
}

export interface TenantCreated {
  readonly tenant: Tenant;
  readonly first_key: KeyCreated | null;
}

const TENANTS = ["tenants"];

export function useTenants(enabled = true) {
  const options = {
    queryKey: TENANTS,
    queryFn: async ({ signal }: { signal: AbortSignal }) => {
      const { value, next } = await ask<Tenant[]>("GET", API, { query: { limit: MOST_TENANTS }, signal });
      return { tenants: value, more: next !== undefined };
    },
    enabled,
    staleTime: 60_000,
  };
  return useQuery(options, shared);
}

export function useTenant(id: string, enabled = true) {
  return useQuery({ queryKey: ["tenant", id], queryFn: ({ signal }) => call<Tenant>("GET", below(API, id), { signal }), enabled }, shared);
}

/** `made` has the first key, and is told whatever has become of the page meanwhile. */
export function useCreateTenant(made: (created: TenantCreated) => void) {
  const options = {
    // The same attempt under the same name: a retry after a lost answer has the same first key.
    mutationFn: ({ tenant, attempt }: { tenant: CreateTenant; attempt: string }) =>
      call<TenantCreated>("POST", API, { body: tenant, idempotency: attempt }),
    onSuccess: (created: TenantCreated) => {
      made(created);
      void shared.invalidateQueries({ queryKey: TENANTS });
    },
    // A raw key may be in the answer: it isn't kept any longer than it is shown.
    gcTime: 0,
  };
  return useMutation(options, shared);
}

export function useUpdateTenant(id: string) {
  const options = {
    mutationFn: (change: UpdateTenant) => call<Tenant>("PATCH", below(API, id), { body: change }),
    onSuccess: () => Promise.all([shared.invalidateQueries({ queryKey: TENANTS }), shared.invalidateQueries({ queryKey: ["tenant", id] })]),
  };
  return useMutation(options, shared);
}
