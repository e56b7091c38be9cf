// What a manifest says, unverified: to show it to whoever is about to carry it. The origin and every edge verify it.
import type { Manifest, SigningRole, SigningState } from "../../api/signing";

/** The payload of a compact JWS (RFC 7515) that is shaped like a manifest. */
export function payload(jws: string): Manifest | undefined {
  const [, body, , ...rest] = jws.split(".");
  if (!body || rest.length > 0) return undefined;
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Manifest> | null;
    const shaped = typeof value?.iss === "string" && typeof value.version === "number" && typeof value.exp === "number" && Array.isArray(value.keys);
    return shaped ? (value as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

export interface Change {
  readonly kid: string;
  readonly role: SigningRole;
  readonly before: SigningState | undefined;
  readonly after: SigningState | undefined;
}

/** The keys of which the two say different things. */
export function changes(before: Manifest | undefined, after: Manifest): Change[] {
  const [was, is] = [before?.keys ?? [], after.keys];
  const kids = new Set([...was, ...is].map(({ kid }) => kid));
  const find = (keys: Manifest["keys"], kid: string) => keys.find((key) => key.kid === kid);
  return [...kids]
    .map((kid) => ({ kid, role: (find(is, kid) ?? find(was, kid))!.role, before: find(was, kid)?.state, after: find(is, kid)?.state }))
    .filter((change) => change.before !== change.after);
}
