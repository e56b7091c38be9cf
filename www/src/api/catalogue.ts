// What keys can be given.
import { useQuery } from "@tanstack/preact-query";
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
