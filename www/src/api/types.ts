// The origin's wire types, in so far as pages read them: `/openapi.json` says what each member means. Answers may get new
// members; requests have no others than these.

export type Scope = "user" | "tenant" | "admin";
export type Environment = "live" | "test";
export type KeyStatus = "active" | "suspended" | "expired" | "revoked";

export interface Session {
  readonly key: string;
  readonly name: string;
  readonly hint: string;
  readonly owner: string;
  readonly tenant: string;
  readonly tenant_name: string;
  /** Whether the tenant is that of the deployment's operator. */
  readonly operator: boolean;
  readonly scope: Scope;
  readonly capabilities: readonly string[];
  readonly csrf: string;
  readonly created: string;
  readonly expires: string;
  readonly idle_seconds: number;
}

export const LIMITS = [
  "rate_limit_per_hour", "daily_quota", "monthly_quota", "cost_limit_cents", "max_tokens_per_request", "max_concurrent_requests",
] as const;
export type LimitName = (typeof LIMITS)[number];

export interface Credential {
  readonly key_hint: string | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly current: boolean;
}

export interface Key extends Readonly<Record<LimitName, number | null>> {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly owner_id: string;
  readonly tenant_id: string;
  readonly scope: Scope;
  readonly environment: Environment;
  readonly capabilities: readonly string[];
  readonly allowed_endpoints: readonly string[];
  readonly blocked_endpoints: readonly string[];
  readonly allowed_ips: readonly string[];
  readonly allowed_domains: readonly string[];
  readonly require_tls: boolean;
  readonly token_exchange: boolean;
  readonly tenant_constraints: Readonly<Record<string, unknown>>;
  readonly status: KeyStatus;
  readonly policy: number;
  readonly key_hint: string;
  readonly created_by: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly expires_at: string | null;
  readonly last_rotated: string | null;
  readonly rotation_period_days: number | null;
  readonly rotation_due_at: string | null;
  readonly rotation_due: boolean;
  readonly credentials: readonly Credential[];
  readonly revoked_at: string | null;
  readonly revocation_reason: string | null;
  readonly etag: string;
  readonly usage: Usage | null;
}

export interface Usage {
  readonly requests_count: number;
  readonly bytes_transferred: number;
  readonly errors_count: number;
  readonly rate_limit_hits: number;
  readonly last_used: string | null;
}

export type GivenLimit = number | "unlimited";

export interface CreateKey extends Partial<Record<LimitName, GivenLimit>> {
  name: string;
  description?: string;
  owner_id?: string;
  capabilities?: string[];
  scope?: Scope;
  environment?: Environment;
  expires_in_days?: number | null;
  allowed_endpoints?: string[];
  blocked_endpoints?: string[];
  allowed_ips?: string[];
  allowed_domains?: string[];
  require_tls?: boolean;
  token_exchange?: boolean;
  tenant_constraints?: Record<string, unknown>;
  rotation_period_days?: number;
}

export type Restriction = string[] | "any";

export interface UpdateKey extends Partial<Record<LimitName, GivenLimit>> {
  name?: string;
  description?: string | null;
  owner_id?: string;
  rotation_period_days?: number | null;
  capabilities?: string[];
  allowed_endpoints?: Restriction;
  blocked_endpoints?: string[];
  allowed_ips?: Restriction;
  allowed_domains?: Restriction;
  require_tls?: boolean;
  tenant_constraints?: Record<string, unknown>;
}

export interface KeyCreated {
  readonly api_key: Key;
  readonly raw_key: string;
  readonly warning: string;
}

export interface KeyRotated {
  readonly api_key: Key;
  readonly new_raw_key: string;
  readonly old_key_expires_at: string | null;
  readonly warning: string;
}

export interface KeyFilter {
  status?: KeyStatus;
  owner_id?: string;
  scope?: Scope;
  capability?: string;
  search?: string;
  expiring_within_days?: number;
  signing_key?: string;
  created_after?: string;
  created_before?: string;
  unused_for_days?: number;
  never_used?: boolean;
}

export interface Bulk {
  ids?: string[];
  filter?: KeyFilter;
  owner_id?: string;
  reason?: string;
  dry_run?: boolean;
  limit?: number;
  cursor?: string;
}

export interface BulkDone {
  readonly matched: number;
  readonly changed: number;
  readonly key_ids: readonly string[];
  readonly not_found: readonly string[];
  readonly dry_run: boolean;
  readonly next_cursor: string | null;
}

export interface Capability {
  readonly value: string;
  readonly label: string;
  readonly category: string;
  /** The tenant's; else it ships with Keyward. */
  readonly own: boolean;
}

export interface ScopeEntry {
  readonly value: Scope;
  readonly label: string;
  readonly description: string;
  readonly default_limits: Readonly<Record<LimitName, number>>;
}

export interface Point {
  readonly start: string;
  readonly requests: number;
  readonly errors: number;
  readonly refused: number;
  readonly rate_limit_hits: number;
  readonly bytes: number;
  readonly cost_cents: number;
}

export interface UsageReport {
  readonly total_requests: number;
  readonly total_errors: number;
  readonly total_refused: number;
  readonly avg_requests_per_day: number;
  readonly rate_limit_hits: number;
  readonly keys_analyzed: number;
  readonly date_range: { readonly start: string; readonly end: string; readonly days: number };
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly cost_cents: number;
  readonly last_used: string | null;
  readonly most_used_endpoints: readonly { endpoint: string; requests: number; errors: number; refused: number }[];
  readonly outcomes: readonly { outcome: string; requests: number }[];
  readonly statuses: readonly { class: number; requests: number }[];
  readonly latency: readonly { up_to_ms: number | null; requests: number }[];
  readonly top_addresses: readonly { address: string; requests: number }[];
  readonly series: readonly Point[];
  /** Of a key that was rotated of late, by raw key. */
  readonly credentials?: readonly CredentialUsage[];
  readonly unattributed?: readonly { outcome: string; requests: number }[];
}

export interface CredentialUsage {
  readonly key_hint: string | null;
  readonly current: boolean;
  readonly requests: number;
  readonly last_used: string | null;
}

export interface AuditRecord {
  readonly tenant: string;
  readonly seq: number;
  readonly at_ms: number;
  readonly action: string;
  readonly actor: { readonly key: string; readonly owner: string } | null;
  readonly address: string | null;
  readonly user_agent: string | null;
  readonly request_id: string | null;
  readonly target: { readonly kind: string; readonly id: string } | null;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly details: Readonly<Record<string, unknown>> | null;
  readonly prev: string;
  readonly hash: string;
}

export interface KeySeries {
  /** The beginning of each day. */
  readonly days: readonly string[];
  /** Of those asked for, the keys that the caller sees. */
  readonly keys: readonly { readonly id: string; readonly requests: readonly number[] }[];
}

export type Verdict = "passed" | "refused";

/** One that an edge made, kept as a sample. */
export interface Decision {
  readonly id: number;
  readonly time: string;
  readonly key_id: string;
  readonly verdict: Verdict;
  readonly outcome: string;
  /** How many requests it stands for. */
  readonly weight: number;
  readonly policy: number | null;
  /** `epoch.seq` of the state that it was made on. */
  readonly position: string;
  readonly method: string;
  readonly path: string;
  readonly address: string | null;
  readonly domain: string | null;
  readonly tls: boolean;
  readonly token: boolean;
  readonly route: string | null;
  readonly capability: string | null;
  readonly status: number | null;
  readonly cost_cents: number;
  readonly duration_ms: number | null;
}

export interface DecisionStep {
  readonly rule: string;
  readonly source: "key" | "policy" | "token";
  /** `null`: nobody has looked. */
  readonly passed: boolean | null;
  readonly code: string | null;
  readonly by: string | null;
}

export interface DecisionExplained {
  readonly decision: Decision;
  readonly steps: readonly DecisionStep[];
}
