// The policy that a draft comes to, as the core reads it: for trying it out before there is a key.
import { LIMITS, type LimitName } from "../api/types";
import { lines, read, UNLIMITED, type Draft } from "./draft";

const NAMES: Record<LimitName, string> = {
  rate_limit_per_hour: "rate_per_hour", daily_quota: "daily_quota", monthly_quota: "monthly_quota", cost_limit_cents: "cost_cents",
  max_tokens_per_request: "tokens_per_request", max_concurrent_requests: "concurrent",
};

/** `defaults` are the limits of those that the draft leaves open. */
export function policyClaims(draft: Draft, tenant: string, defaults: Readonly<Record<LimitName, number>> | undefined): object {
  const only = (text: string) => (lines(text).length === 0 ? "any" : { only: lines(text) });
  const limit = (name: LimitName) => {
    const text = draft.limits[name].trim();
    return text === UNLIMITED ? null : text === "" ? (defaults?.[name] ?? null) : Number(text);
  };
  return {
    number: 1,
    epoch: 1,
    iat: 0,
    tenant,
    scope: draft.scope,
    capabilities: draft.capabilities,
    endpoints: only(draft.allowed_endpoints),
    blocked_endpoints: lines(draft.blocked_endpoints),
    ips: only(draft.allowed_ips),
    domains: only(draft.allowed_domains),
    require_tls: draft.require_tls,
    limits: Object.fromEntries(LIMITS.map((name) => [NAMES[name], limit(name)])),
    constraints: read(draft.constraints) ?? {},
  };
}
