// Tokens: a key in, a narrower token out (RFC 8693).
import { Problem } from "./problem";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const API_KEY = "urn:keyward:token-type:api-key";
/** As the origin bounds it. */
export const LONGEST_SECONDS = 300;

export interface Narrowing {
  /** Capabilities; `undefined`: all that the key has. */
  readonly scope: readonly string[] | undefined;
  readonly endpoints: readonly string[];
  readonly ips: readonly string[];
  readonly seconds: number;
}

export interface TokenIssued {
  readonly access_token: string;
  readonly expires_in: number;
  readonly scope: string;
}

/** The form of an exchange, without the key. */
export function form({ scope, endpoints, ips, seconds }: Narrowing): URLSearchParams {
  const fields = new URLSearchParams({ grant_type: EXCHANGE, subject_token_type: API_KEY });
  if (scope) fields.set("scope", scope.join(" "));
  for (const endpoint of endpoints) fields.append("endpoint", endpoint);
  for (const ip of ips) fields.append("ip", ip);
  if (seconds !== LONGEST_SECONDS) fields.set("expires_in", String(seconds));
  return fields;
}

/** Exchanges a key, which answers for itself: the session has no part in it. */
export async function exchange(key: string, narrowing: Narrowing): Promise<TokenIssued> {
  const body = form(narrowing);
  body.set("subject_token", key);
  let response: Response;
  try {
    response = await fetch("/oauth/token", { method: "POST", body, credentials: "omit", cache: "no-store", redirect: "error" });
  } catch {
    throw Problem.unreachable();
  }
  const answer = (await response.json()) as TokenIssued & { readonly error?: string; readonly error_description?: string };
  if (response.ok) return answer;
  const id = response.headers.get("x-request-id") ?? undefined;
  throw new Problem(answer.error ?? `http_${response.status}`, "The key wasn't exchanged", response.status, answer.error_description, [], id);
}
