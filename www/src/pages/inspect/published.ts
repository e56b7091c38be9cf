// The origin's signing keys and status lists, as it publishes them.
import { KeySet, StatusLists, type ApiKey } from "../../pkg/keyward";

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

/** The list that the key's status stands in, or `undefined` where it isn't published. */
export async function loadStatuses(keys: Keys, key: ApiKey): Promise<StatusLists | undefined> {
  const list = await text(`/status-lists/${key.statusList}`);
  if (list === undefined) return undefined;
  const lists = new StatusLists();
  lists.add(key.statusList, list, keys.set, Date.now());
  return lists;
}

async function text(path: string): Promise<string | undefined> {
  const response = await fetch(path, { credentials: "omit", cache: "no-cache" });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`The origin answered ${response.status} to ${path}`);
  return response.text();
}
