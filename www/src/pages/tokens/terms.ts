// A policy's payload, narrowed as a token would narrow it.
import { Policy } from "../../pkg/keyward";

export type AnyOr = "any" | { readonly only: readonly string[] };

/** The payload of a policy, in so far as tokens narrow it. */
export interface Terms {
  readonly capabilities: readonly string[];
  readonly endpoints: AnyOr;
  readonly blocked_endpoints: readonly string[];
  readonly ips: AnyOr;
  readonly [member: string]: unknown;
}

export interface Compared {
  readonly dimension: string;
  readonly held: unknown;
  readonly left: unknown;
  /** Whether what is left goes no further. */
  readonly within: boolean;
}

export function terms(policy: Policy): Terms {
  return JSON.parse(policy.toJson()) as Terms;
}

/** In each dimension what the policy permits, and what the narrowed one does. */
export function compare(policy: Policy, narrowed: Policy): Compared[] {
  const [held, left] = [terms(policy), terms(narrowed)];
  return policy.compare(narrowed).map(({ dimension, within }) => ({ dimension, within, held: held[dimension], left: left[dimension] }));
}

/** Of the endpoints those that only read: GET and HEAD. */
export function readOnly(endpoints: AnyOr): string[] {
  const patterns = endpoints === "any" ? ["/**"] : endpoints.only;
  return patterns.flatMap((pattern) => {
    if (pattern.startsWith("/")) return [`GET ${pattern}`, `HEAD ${pattern}`];
    return /^(GET|HEAD) /.test(pattern) ? [pattern] : [];
  });
}

/** The same policy with less in it. Throws where that is none. */
export function narrowed(policy: Policy, changes: Partial<Terms>): Policy {
  return Policy.fromJson(JSON.stringify({ ...terms(policy), ...changes }));
}
