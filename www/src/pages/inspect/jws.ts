// What a signed object says, as it was written: nothing of it is proved by that.

/** The header and payload of a compact JWS; `undefined` for anything else. */
export function decode(text: string): { readonly header: Record<string, unknown>; readonly payload: Record<string, unknown> } | undefined {
  const [header, payload, signature, ...more] = text.split(".");
  if (signature === undefined || more.length > 0) return undefined;
  try {
    return { header: part(header), payload: part(payload) };
  } catch {
    return undefined;
  }
}

function part(text = ""): Record<string, unknown> {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError("not an object");
  return value as Record<string, unknown>;
}
