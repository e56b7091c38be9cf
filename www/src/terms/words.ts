// What a draft comes to, in words.
import type { LimitName } from "../api/types";
import { LIMITS } from "../api/types";
import { lines, LIMIT_WORDS, NEVER, UNLIMITED, type Draft } from "./draft";

export type Line = readonly [what: string, says: string];

export function describe(draft: Draft, defaults: Readonly<Record<LimitName, number>> | undefined): readonly Line[] {
  const list = (text: string, none: string) => lines(text).join(", ") || none;
  const limits = LIMITS.map((name) => {
    const text = draft.limits[name].trim() || String(defaults?.[name] ?? "");
    return text === "" || text === UNLIMITED ? "" : `${Number(text).toLocaleString()} ${LIMIT_WORDS[name][1]}`;
  });
  return [
    ["Can", draft.capabilities.join(", ") || "nothing that needs a capability"],
    ["Reaches", { user: "what is its owner's", tenant: "what is its tenant's", admin: "all tenants" }[draft.scope]],
    ["Where", list(draft.allowed_endpoints, "every endpoint")],
    ["Not where", list(draft.blocked_endpoints, "–")],
    ["From", `${list(draft.allowed_ips, "any address")}; ${list(draft.allowed_domains, "any page")}; ${draft.require_tls ? "TLS only" : "also without TLS"}`],
    ["How much", limits.filter(Boolean).join(", ") || "as much as it likes"],
    ["How long", draft.expires === NEVER ? "until it is revoked" : `${draft.expires} days`],
    ["Tokens", draft.token_exchange ? "can be exchanged for short-lived tokens" : "no exchange"],
  ];
}
