// What the deployment publishes of itself.
import { useQuery } from "@tanstack/preact-query";
import { call, send } from "./client";

/** Authorization server metadata (RFC 8414), as far as pages read it. */
export interface Metadata {
  readonly issuer: string;
  readonly token_endpoint: string;
  readonly introspection_endpoint: string;
  readonly revocation_endpoint: string;
  readonly jwks_uri: string;
}

export function useMetadata() {
  return useQuery({ queryKey: ["metadata"], queryFn: ({ signal }) => call<Metadata>("GET", "/.well-known/oauth-authorization-server", { signal }), staleTime: 300_000 });
}

/** The root's public key, as an edge pins it. */
export function useRoot() {
  return useQuery({
    queryKey: ["root"],
    queryFn: async ({ signal }) => (await (await send("GET", "/.well-known/keyward-root", { signal })).text()).trim(),
    staleTime: 60_000,
  });
}
