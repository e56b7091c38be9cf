// The same request as a line for a shell: nothing in it is a secret, the asking key comes from the environment.
import { LIMITS, type CreateKey } from "../api/types";

/** `tenant`: another one than the asking key's. */
export function curl(origin: string, key: CreateKey, tenant: string | undefined): string {
  return [
    `curl -sS -X POST ${origin}/api/v1/api-keys${tenant === undefined ? "" : `?tenant=${tenant}`}`,
    `-H "Authorization: Bearer $KEYWARD_KEY"`,
    `-H 'Content-Type: application/json'`,
    `-d ${quoted(JSON.stringify(key))}`,
  ].join(" \\\n  ");
}

export function cli(key: CreateKey, tenant: string | undefined): string {
  const options: string[] = [];
  const option = (name: string, value: unknown) => {
    if (value !== undefined) options.push(`--${name} ${quoted(String(value))}`);
  };
  option("tenant", tenant);
  option("description", key.description);
  option("owner", key.owner_id);
  option("scope", key.scope);
  option("environment", key.environment);
  if (key.capabilities) option("capability", key.capabilities.join(","));
  key.allowed_endpoints?.forEach((pattern) => option("allow-endpoint", pattern));
  key.blocked_endpoints?.forEach((pattern) => option("block-endpoint", pattern));
  if (key.allowed_ips) option("allow-ip", key.allowed_ips.join(","));
  if (key.allowed_domains) option("allow-domain", key.allowed_domains.join(","));
  option("require-tls", key.require_tls);
  option("token-exchange", key.token_exchange);
  for (const name of LIMITS) option(name.replaceAll("_", "-"), key[name]);
  if (key.expires_in_days !== undefined) option("expires-in-days", key.expires_in_days ?? "never");
  option("rotation-period-days", key.rotation_period_days);
  for (const [name, value] of Object.entries(key.tenant_constraints ?? {})) option("constraint", `${name}=${JSON.stringify(value)}`);
  // Last, where a name may begin with a dash.
  if (key.name.startsWith("-")) return ["keyward keys create", ...options, `-- ${quoted(key.name)}`].join(" \\\n  ");
  return [`keyward keys create ${quoted(key.name)}`, ...options].join(" \\\n  ");
}

/** As one word for sh. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
