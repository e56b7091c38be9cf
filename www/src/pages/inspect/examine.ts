// A key or token, verified in the page; and whether a request with it would pass. Everything is decided by the code that runs at
// the edge; nothing of what is pasted is sent anywhere.
import type { KeyPolicy } from "../../api/policy";
import { ApiKey, Policy, StatusLists, type KeywardError, type PolicyRequest, type Step, type VerifiedKey, type VerifiedToken } from "../../pkg/keyward";
import { decode } from "./jws";
import { loadStatusList, type Keys } from "./published";

export interface Subject {
  readonly kind: "key" | "token";
  readonly text: string;
  /** The key, or the one that the token was made from, as the text says. */
  readonly keyId: string | undefined;
  /** Where the key's status stands. */
  readonly list: number | undefined;
  readonly claims: readonly (readonly [name: string, value: string])[];
  /** As the token names it. */
  readonly audience: string | undefined;
}

export interface Where {
  readonly environment: "live" | "test";
  readonly audience: string;
}

/** What the origin told of the key: its policy in force, and how its raw keys were amended. */
export type Told = KeyPolicy | undefined;

export interface Outcome {
  /** Why it is refused; `null`: it isn't. */
  readonly code: string | null;
  readonly steps: readonly Step[];
}

/** What a text says of itself. A token has dots. */
export function read(text: string): Subject | { readonly kind: "key" | "token"; readonly code: string } {
  if (text.includes(".")) {
    const decoded = decode(text);
    if (!decoded) return { kind: "token", code: "malformed" };
    const { payload } = decoded;
    const list = Number(/\/status-lists\/(\d{1,9})$/.exec(String(at(at(payload["status"], "status_list"), "uri")))?.[1]);
    return {
      kind: "token",
      text,
      keyId: typeof payload["sub"] === "string" ? payload["sub"] : undefined,
      list: Number.isInteger(list) ? list : undefined,
      claims: Object.entries(payload).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const),
      audience: typeof payload["aud"] === "string" ? payload["aud"] : undefined,
    };
  }
  try {
    const key = ApiKey.parse(text);
    try {
      return { kind: "key", text, keyId: key.id, list: key.statusList, claims: claimsOf(key), audience: undefined };
    } finally {
      key.free();
    }
  } catch (cause) {
    return { kind: "key", code: (cause as KeywardError).code };
  }
}

/** The status list that the verification asks for; `undefined` where it gets to no such question. */
export async function statusOf(subject: Subject, where: Where, keys: Keys): Promise<string | undefined> {
  // Of a key that nobody made there is no status, whatever stands at the place that it names.
  const { code } = verify(subject, where, keys, undefined, undefined);
  return code === "status_unavailable" && subject.list !== undefined ? loadStatusList(subject.list) : undefined;
}

/** The steps of its verification. */
export function verify(subject: Subject, where: Where, keys: Keys, list: string | undefined, told: Told): Outcome {
  return examine(subject, where, keys, list, told, ({ explanation }) => explanation);
}

/** Whether a request with it would pass: all steps, in the edge's order. */
export function decide(subject: Subject, where: Where, keys: Keys, list: string | undefined, told: KeyPolicy, request: PolicyRequest): Outcome {
  const policy = Policy.open(told.signed, told.number, keys.set, Date.now());
  try {
    return examine(subject, where, keys, list, told, ({ explanation, key, token }) => {
      const own = token?.explain(policy, request) ?? (key ? policy.explainFor(key, request) : policy.explain(request));
      // The path comes first at an edge. What comes after a key that doesn't hold, nobody looks at.
      const [path, ...rest] = own.steps;
      const after = explanation.code === null ? rest : rest.map((step) => ({ ...step, passed: null, code: null, by: null }));
      const steps = [...(path ? [path] : []), ...explanation.steps, ...after];
      return { code: steps.find((step) => step.code !== null)?.code ?? null, steps };
    });
  } finally {
    policy.free();
  }
}

/** What is left of its key's policy for a token; `undefined` where it doesn't hold. */
export function narrowedBy(subject: Subject, where: Where, keys: Keys, list: string | undefined, told: Told, policy: Policy): Policy | undefined {
  return examine(subject, where, keys, list, told, ({ token }) => token?.narrowed(policy));
}

interface Examined {
  readonly explanation: Outcome;
  readonly key?: VerifiedKey | undefined;
  readonly token?: VerifiedToken | undefined;
}

function examine<T>(subject: Subject, { environment, audience }: Where, keys: Keys, list: string | undefined, told: Told, use: (found: Examined) => T): T {
  const statuses = new StatusLists();
  const found = { free: () => {} } as { free(): void };
  try {
    if (list !== undefined && subject.list !== undefined) statuses.add(subject.list, list, keys.set, Date.now());
    for (const { index, amended, policy, in_force, expires } of told?.credentials ?? []) {
      if (amended) statuses.amended(index, policy, expires ?? undefined);
      if (policy !== in_force) statuses.superseded(policy, in_force);
    }
    if (subject.kind === "token") {
      const examined = keys.set.examineToken(subject.text, audience, environment, statuses, Date.now());
      const { explanation, token } = examined;
      found.free = () => (token?.free(), examined.free());
      return use({ explanation, token });
    }
    const examined = keys.set.examine(subject.text, environment, statuses, Date.now());
    const { explanation, key } = examined;
    found.free = () => (key?.free(), examined.free());
    return use({ explanation, key });
  } finally {
    found.free();
    statuses.free();
  }
}

function claimsOf(key: ApiKey): readonly (readonly [string, string])[] {
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

function at(value: unknown, member: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[member] : undefined;
}
