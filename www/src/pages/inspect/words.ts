// Rules and reasons, for people.
import type { Step } from "../../pkg/keyward";
import { reasonWords } from "../../terms/reasons";

const RULES: Record<Step["rule"], readonly [title: string, passed: string]> = {
  path: ["Path", "In its normal form."],
  shape: ["Shape", "As it has to be."],
  checksum: ["Checksum", "Nothing is mistyped or missing."],
  key_set: ["Manifest", "The origin's signing keys are known and count."],
  signature: ["Signature", "Made by this origin."],
  audience: ["Audience", "For this service."],
  environment: ["Environment", "The one that this edge is for."],
  signing_key: ["Signing key", "What it signed still counts."],
  status: ["Status", "Neither revoked nor suspended."],
  time: ["Time", "Not over yet."],
  policy: ["Policy", "The one in force."],
  scope: ["Scope", "No further than what was signed."],
  constraints: ["Constraints", "All of them are known."],
  route: ["Route", "The edge has a route for this."],
  endpoint: ["Endpoint", "Allowed."],
  blocked: ["Blocked endpoints", "Not among them."],
  address: ["Address", "Allowed."],
  domain: ["Web page", "Allowed."],
  tls: ["TLS", "As the policy asks."],
  capability: ["Capability", "Held, or not asked for."],
  limits: ["Limits", "None of them is zero. What is left of them only the edge can tell."],
};

const CODES: Record<string, string> = {
  malformed: "This doesn't have the shape of a key or token.",
  checksum_mismatch: "The checksum is wrong: a typing error, or a part is missing.",
  state_unavailable: "The manifest has expired, so that nothing can be believed.",
  unknown_signing_key: "This origin has no such signing key, or it counts no more.",
  signature_invalid: "Nobody with this origin's signing key made this.",
  not_issued: "Its signing key was stolen, and this is none of those that were issued.",
  issuance_unavailable: "The signature holds, but its signing key was compromised: only the origin can tell whether this was issued.",
  wrong_audience: "It is for another service.",
  wrong_environment: "It is of the other environment.",
  signing_key_expired: "The key that signed it has expired.",
  key_revoked: "Revoked, for ever.",
  key_suspended: "Suspended for now.",
  status_unavailable: "Its status list isn't published here.",
  amendment_unavailable: "It counts, with other terms than it was made with; those are told to who is signed in.",
  key_expired: "Its time is over.",
  policy_unavailable: "The policy is another one, or another tenant's.",
  scope_exceeded: "The policy reaches further than what was signed.",
  rate_limit_exceeded: "No request at all is allowed in an hour.",
  daily_quota_exceeded: "No request at all is allowed in a day.",
  monthly_quota_exceeded: "No request at all is allowed in a month.",
  concurrency_limit_exceeded: "No request at all is allowed at a time.",
};

export function ruleTitle({ rule, source }: Step): string {
  const [title] = RULES[rule];
  return source === "token" && rule !== "shape" ? `${title} (token)` : title;
}

export function stepWords({ rule, passed, code }: Step): string {
  if (code !== null) return codeWords(code);
  return passed === null ? "Not looked at: it is refused before." : RULES[rule][1];
}

export function codeWords(code: string): string {
  return CODES[code] ?? (reasonWords(code) || code);
}
