// How the deployment runs, and what it publishes of itself.
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

export interface Settings {
  readonly version: string;
  readonly issuer: string;
  readonly secure: boolean;
  readonly trusted_proxies: readonly string[];
  readonly failures_per_minute: number;
  readonly token_reuse_seconds: number;
  readonly token_seconds: number;
  readonly session_seconds: number;
  readonly session_idle_seconds: number;
  readonly usage_days: number;
  readonly decision_hours: number;
}

export function useSettings(enabled: boolean) {
  return useQuery({ queryKey: ["settings"], queryFn: ({ signal }) => call<Settings>("GET", "/api/v1/settings", { signal }), enabled, staleTime: 60_000 });
}

/** An edge, as it last asked for changes. */
export interface EdgeHeard {
  readonly key: string;
  readonly owner: string;
  readonly address: string | null;
  readonly epoch: number;
  readonly seq: number;
  readonly manifest: number;
  readonly heard: string;
}

export interface Edges {
  readonly epoch: number;
  readonly seq: number;
  readonly manifest: number;
  readonly now: string;
  readonly edges: readonly EdgeHeard[];
}

export function useEdges(enabled: boolean) {
  return useQuery({ queryKey: ["edges"], queryFn: ({ signal }) => call<Edges>("GET", "/api/v1/edges", { signal }), enabled, refetchInterval: 5_000 });
}
