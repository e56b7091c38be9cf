// What keys can be given.
import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { call } from "./client";
import type { Capability, ScopeEntry } from "./types";

const API = "/api/v1/api-keys/catalog";

export function useCapabilities() {
  return useQuery({
    queryKey: ["catalogue", "capabilities"],
    queryFn: () => call<{ capabilities: Capability[] }>("GET", `${API}/capabilities`).then(({ capabilities }) => capabilities),
    staleTime: 300_000,
  });
}

export function useScopes() {
  return useQuery({
    queryKey: ["catalogue", "scopes"],
    queryFn: () => call<{ scopes: ScopeEntry[] }>("GET", `${API}/scopes`).then(({ scopes }) => scopes),
    staleTime: 300_000,
  });
}

/** Adds to the tenant's catalogue. */
export function useAddCapability() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (capability: Omit<Capability, "own">) => call<Omit<Capability, "own">>("POST", `${API}/capabilities`, { body: capability }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["catalogue", "capabilities"] }),
  });
}
