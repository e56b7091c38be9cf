// What can be told of a key: each check in the order in which the edge makes them.
import { ApiKey, type KeywardError } from "../../pkg/keyward";
import { loadStatuses, type Keys } from "./published";

export interface Check {
  readonly name: string;
  /** `undefined`: not made, because an earlier one failed or something is missing. */
  readonly passed: boolean | undefined;
  readonly detail: string;
}

export interface Inspection {
  readonly checks: readonly Check[];
  readonly claims: readonly (readonly [name: string, value: string])[];
  /** Whether the claims are proved by a signature. */
  readonly genuine: boolean | undefined;
}

const FAULTS: Record<string, string> = {
  malformed: "This doesn't have the shape of a key.",
  checksum_mismatch: "The checksum is wrong: a typing error, or a part is missing.",
  unknown_signing_key: "This origin has no such signing key.",
  signature_invalid: "Nobody with this origin's signing key made this key.",
  issuance_unavailable: "The signature holds, but its signing key was compromised: only the origin can tell whether this key was issued.",
};

const STATUSES: Record<string, readonly [boolean, string]> = {
  valid: [true, "Valid."],
  revoked: [false, "Revoked, for ever."],
  suspended: [false, "Suspended for now."],
  amended: [true, "Valid, with other terms than it was made with."],
};

export async function inspect(text: string, keys: Keys | undefined): Promise<Inspection> {
  const checks: Check[] = [];
  let key: ApiKey;
  try {
    key = ApiKey.parse(text);
  } catch (error) {
    return { checks: [{ name: "Shape and checksum", passed: false, detail: fault(error) }], claims: [], genuine: false };
  }
  try {
    checks.push({ name: "Shape and checksum", passed: true, detail: `${text.length} characters, none mistyped.` });
    const genuine = checkSignature(key, keys, checks);
    await checkStatus(key, genuine ? keys : undefined, checks);
    checkTime(key, checks);
    return { checks, claims: claims(key), genuine };
  } finally {
    key.free();
  }
}

function checkSignature(key: ApiKey, keys: Keys | undefined, checks: Check[]): boolean | undefined {
  const name = "Signature";
  if (keys === undefined) {
    checks.push({ name, passed: undefined, detail: "This origin publishes no signing keys to check it with." });
    return undefined;
  }
  try {
    keys.set.authenticate(key, Date.now());
    checks.push({ name, passed: true, detail: `Made by ${keys.set.issuer}.` });
    return true;
  } catch (error) {
    // Neither proved nor refuted.
    const unknown = (error as KeywardError).code === "issuance_unavailable";
    checks.push({ name, passed: unknown ? undefined : false, detail: fault(error) });
    return unknown ? undefined : false;
  }
}

async function checkStatus(key: ApiKey, keys: Keys | undefined, checks: Check[]): Promise<void> {
  const name = "Status";
  // Of a key that nobody made there is no status, whatever stands at the place that it names.
  const lists = keys && (await loadStatuses(keys, key));
  const status = lists?.status(key.statusIndex);
  lists?.free();
  const [passed, detail] = (status && STATUSES[status]) ?? [undefined, "Not known."];
  checks.push({ name, passed, detail });
}

function checkTime(key: ApiKey, checks: Check[]): void {
  const name = "Time";
  const expires = key.expires;
  if (expires === undefined) return void checks.push({ name, passed: true, detail: "It doesn't expire." });
  const passed = Date.now() < expires * 1000;
  checks.push({ name, passed, detail: `${passed ? "Until" : "Expired"} ${date(expires)}.` });
}

function claims(key: ApiKey): (readonly [string, string])[] {
  return [
    ["Id", key.id],
    ["Environment", key.environment],
    ["Scope", key.scope],
    ["Prefix", key.prefix],
    ["Expires", key.expires === undefined ? "never" : date(key.expires)],
    ["Token exchange", key.exchange ? "allowed" : "not allowed"],
    ["Policy at creation", String(key.policy)],
    ["Status index", `${key.statusIndex} (list ${key.statusList})`],
    ["Signing key", `${key.signingKey}…`],
  ];
}

function date(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
}

function fault(error: unknown): string {
  const { code, message } = error as KeywardError;
  return FAULTS[code] ?? message;
}
