// All that can be recorded, by name (docs/formats.md, Audit record).
export const ACTIONS = [
  "api_key_created", "api_key_updated", "api_key_rotated", "api_key_rotation_finished", "api_key_rotation_cancelled", "api_key_renewed",
  "api_key_suspended", "api_key_resumed", "api_key_revoked", "token_issued", "token_revoked", "session_started", "session_ended",
  "management_denied", "policy_superseded", "owner_created", "owner_updated", "owner_disabled", "owner_enabled", "capability_added",
  "tenant_created", "tenant_updated", "signing_key_created", "signing_key_activated", "signing_key_retired", "signing_key_frozen",
  "manifest_published", "master_key_rotated", "audit_read", "audit_exported", "database_recovered",
] as const;

export function actionWords(action: string): string {
  return action.replace("api_key", "key").replaceAll("_", " ");
}
