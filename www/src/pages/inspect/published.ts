// The origin's signing keys and status lists, as it publishes them.
import { KeySet } from "../../pkg/keyward";

export interface Keys {
  readonly set: KeySet;
  readonly root: string;
}

/** `undefined` where this origin publishes no manifest: keys can then be read, and not verified. */
export async function loadKeys(): Promise<Keys | undefined> {
  const [manifest, root] = await Promise.all([text("/.well-known/keyward-manifest"), text("/.well-known/keyward-root")]);
  if (manifest === undefined || root === undefined) return undefined;
  // The page takes the root from the server that served the page itself: whoever could forge one could forge both. An
  // edge pins it.
  return { set: KeySet.open(manifest, root.trim().split(/[\s,]+/), Date.now()), root: root.trim() };
}

/** A status list as it was signed, or `undefined` where it isn't published. */
export function loadStatusList(number: number): Promise<string | undefined> {
  return text(`/status-lists/${number}`);
}

async function text(path: string): Promise<string | undefined> {
  const response = await fetch(path, { credentials: "omit", cache: "no-cache" });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`The origin answered ${response.status} to ${path}`);
  return response.text();
}
