// What is being written of a key, as it stands in the form: texts, of which the API's requests are made.
import { LIMITS, type CreateKey, type Environment, type GivenLimit, type Key, type LimitName, type Scope, type UpdateKey } from "../api/types";

export interface Draft {
  name: string;
  description: string;
  owner_id: string;
  scope: Scope;
  environment: Environment;
  capabilities: readonly string[];
  /** One a line; none: any. */
  allowed_endpoints: string;
  blocked_endpoints: string;
  allowed_ips: string;
  allowed_domains: string;
  require_tls: boolean;
  token_exchange: boolean;
  /** Empty: the default of the scope, or for a key that is there, as it is. */
  limits: Readonly<Record<LimitName, string>>;
  /** Days, or `never`. */
  expires: string;
  /** Days, or empty. */
  rotation: string;
  /** JSON, or empty. */
  constraints: string;
}

export const UNLIMITED = "unlimited";
export const NEVER = "never";

export const LIMIT_WORDS: Record<LimitName, readonly [label: string, unit: string]> = {
  rate_limit_per_hour: ["Requests an hour", "an hour"],
  daily_quota: ["Requests a day", "a day"],
  monthly_quota: ["Requests a month", "a month"],
  cost_limit_cents: ["Cents a month", "cents a month"],
  max_tokens_per_request: ["Tokens in one request", "tokens a request"],
  max_concurrent_requests: ["Requests at one time", "at a time"],
};

export function empty(): Draft {
  return {
    name: "", description: "", owner_id: "", scope: "user", environment: "live", capabilities: [],
    allowed_endpoints: "", blocked_endpoints: "", allowed_ips: "", allowed_domains: "",
    require_tls: true, token_exchange: true, limits: limits(() => ""), expires: "90", rotation: "", constraints: "",
  };
}

export function of(key: Key): Draft {
  return {
    name: key.name, description: key.description ?? "", owner_id: key.owner_id, scope: key.scope, environment: key.environment,
    capabilities: key.capabilities, allowed_endpoints: key.allowed_endpoints.join("\n"), blocked_endpoints: key.blocked_endpoints.join("\n"),
    allowed_ips: key.allowed_ips.join("\n"), allowed_domains: key.allowed_domains.join("\n"), require_tls: key.require_tls,
    token_exchange: key.token_exchange, limits: limits((name) => String(key[name] ?? UNLIMITED)), expires: NEVER,
    rotation: String(key.rotation_period_days ?? ""), constraints: JSON.stringify(key.tenant_constraints, null, 2),
  };
}

/** The request that makes it. What is as it would be anyway is left out. */
export function toCreate(draft: Draft): CreateKey {
  const key: CreateKey = { name: draft.name.trim() };
  if (draft.description.trim()) key.description = draft.description.trim();
  if (draft.owner_id.trim()) key.owner_id = draft.owner_id.trim();
  if (draft.scope !== "user") key.scope = draft.scope;
  if (draft.environment !== "live") key.environment = draft.environment;
  if (draft.capabilities.length > 0) key.capabilities = [...draft.capabilities];
  for (const list of LISTS) if (lines(draft[list]).length > 0) key[list] = lines(draft[list]);
  if (!draft.require_tls) key.require_tls = false;
  if (!draft.token_exchange) key.token_exchange = false;
  for (const name of LIMITS) {
    const limit = given(draft.limits[name]);
    if (limit !== undefined) key[name] = limit;
  }
  if (draft.expires !== "90") key.expires_in_days = draft.expires === NEVER ? null : Number(draft.expires);
  if (draft.rotation.trim()) key.rotation_period_days = Number(draft.rotation);
  const constraints = read(draft.constraints);
  if (constraints) key.tenant_constraints = constraints;
  return key;
}

/** The request that changes the key into it: what stays is left out. */
export function toUpdate(draft: Draft, key: Key): UpdateKey {
  const before = of(key);
  const change: UpdateKey = {};
  if (draft.name.trim() !== before.name) change.name = draft.name.trim();
  if (draft.description.trim() !== before.description) change.description = draft.description.trim() || null;
  if (draft.owner_id.trim() !== before.owner_id) change.owner_id = draft.owner_id.trim();
  if (!same(draft.capabilities, before.capabilities)) change.capabilities = [...draft.capabilities];
  for (const list of LISTS) {
    const after = lines(draft[list]);
    if (same(after, lines(before[list]))) continue;
    // What is refused whatever else is said can be nothing; what is allowed can't.
    if (list === "blocked_endpoints") change[list] = after;
    else change[list] = after.length === 0 ? "any" : after;
  }
  if (draft.require_tls !== before.require_tls) change.require_tls = draft.require_tls;
  for (const name of LIMITS) {
    const limit = given(draft.limits[name]);
    if (limit !== undefined && draft.limits[name].trim() !== before.limits[name]) change[name] = limit;
  }
  if (draft.rotation.trim() !== before.rotation) change.rotation_period_days = draft.rotation.trim() ? Number(draft.rotation) : null;
  const constraints = read(draft.constraints);
  if (constraints && JSON.stringify(constraints) !== JSON.stringify(key.tenant_constraints)) change.tenant_constraints = constraints;
  return change;
}

export const LISTS = ["allowed_endpoints", "blocked_endpoints", "allowed_ips", "allowed_domains"] as const;

export function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

export function limits(of: (name: LimitName) => string): Record<LimitName, string> {
  return Object.fromEntries(LIMITS.map((name) => [name, of(name)])) as Record<LimitName, string>;
}

/** The object that the text is; `undefined` where it is none. */
export function read(text: string): Record<string, unknown> | undefined {
  if (text.trim() === "") return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function given(text: string): GivenLimit | undefined {
  const limit = text.trim();
  if (limit === "") return undefined;
  return limit === UNLIMITED ? UNLIMITED : Number(limit);
}

function same(one: readonly string[], other: readonly string[]): boolean {
  const [a, b] = [[...one].sort(), [...other].sort()];
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
