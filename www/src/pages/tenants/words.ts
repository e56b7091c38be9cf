import type { CeilingName } from "../../api/tenants";

/** What a tenant may use up: what it is called, and what happens at its end. */
export const CEILING_WORDS: Record<CeilingName, readonly [label: string, hint: string]> = {
  live_keys: ["Live keys", "Neither revoked nor expired. At the ceiling no key is made."],
  creates_per_hour: ["Keys created an hour", "Of UTC. Then creates wait for the next hour."],
  policies: ["Policies", "Different sets of terms, superseded ones too. At the ceiling keys can have no new terms."],
  changes_per_hour: ["Changes an hour", "Of keys and policies. Revoking and suspending are counted and never refused."],
};
