// The deployment's signing keys, for its operator: what they are, and what is done to them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { call } from "./client";

const API = "/api/v1/signing-keys";

export const ROLES = ["api-key", "token", "policy", "feed", "audit", "root"] as const;
export type SigningRole = (typeof ROLES)[number];
export type SigningState = "pre-published" | "active" | "verify-only" | "retired" | "frozen";

export interface SigningKey {
  readonly kid: string;
  readonly role: SigningRole;
  readonly state: SigningState;
  readonly state_since: string;
  readonly public_key: string;
  readonly is_here: boolean;
  readonly created_at: string;
  readonly announced_at: string | null;
  readonly activated_at: string | null;
  readonly expires_at: string | null;
  readonly activatable_at: string | null;
  readonly live_keys: number | null;
  readonly live_keys_without_digest: number | null;
}

export interface ManifestInForce {
  readonly version: number;
  readonly epoch: number;
  readonly expires_at: string;
  readonly root_is_elsewhere: boolean;
  readonly outdated: boolean;
}

export interface SigningKeys {
  readonly manifest: ManifestInForce;
  readonly signing_keys: readonly SigningKey[];
}

export interface Turned {
  readonly signing_key: SigningKey;
  readonly successor?: string;
  readonly manifest: ManifestInForce;
}

/** A manifest's payload, as far as pages read it. */
export interface Manifest {
  readonly iss: string;
  readonly version: number;
  readonly epoch: number;
  readonly iat: number;
  readonly exp: number;
  readonly keys: readonly { readonly kid: string; readonly role: SigningRole; readonly state: SigningState }[];
}

export interface Proposal {
  /** The manifest in force, as it was signed. */
  readonly current: string;
  /** The next one, unsigned. */
  readonly proposed: Manifest;
}

const KEYS = ["signing-keys"];

export function useSigningKeys() {
  return useQuery({ queryKey: KEYS, queryFn: ({ signal }) => call<SigningKeys>("GET", API, { signal }), refetchInterval: 30_000 });
}

/** What would be signed next, to count for so many days. */
export function useProposal(days: number, enabled: boolean) {
  return useQuery({
    queryKey: [...KEYS, "proposal", days],
    queryFn: ({ signal }) => call<Proposal>("GET", "/api/v1/manifest/proposal", { query: { days }, signal }),
    enabled,
  });
}

export function usePrepare() {
  return useChange((next: { role: SigningRole; public_key?: string }) => call<Turned>("POST", API, { body: next }));
}

export type TurnAction = "activate" | "retire" | "freeze";

export function useTurn() {
  return useChange(({ kid, action, force }: { kid: string; action: TurnAction; force: boolean }) =>
    call<Turned>("POST", `${API}/${kid}/${action}`, { body: { force } }),
  );
}

export function usePublish() {
  return useChange((manifest: string) => call<SigningKeys>("POST", "/api/v1/manifest", { body: { manifest } }));
}

/** Each change may change other keys too, and what would be proposed next. */
function useChange<Given, Answer>(change: (given: Given) => Promise<Answer>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: change, onSuccess: () => client.invalidateQueries({ queryKey: KEYS }) });
}
