// A route table as the edge reads it.
import { Policy, RouteTable, type KeywardError, type Route } from "../../pkg/keyward";
import { empty } from "../../terms/draft";
import { policyClaims } from "../../terms/policy";

/** As the core bounds it. */
export const MOST_ROUTES = 1024;

export const EXAMPLE = `# What everybody with a key may see
GET /v1/me -> authenticated
GET /v1/models/* -> authenticated
# What costs something
POST /v1/chat/** -> llm:gpt-4 costs 25
/v1/search -> rag:search
# Everything else is refused
`;

export type Read = { readonly text: string; readonly entries: readonly Route[] } | { readonly fault: string };

export function read(text: string): Read {
  return using(text, (table) => {
    const entries: Route[] = [];
    for (let entry = table.entry(0); entry; entry = table.entry(entries.length)) entries.push(entry);
    return { text, entries };
  });
}

/** The number of the entry that decides on a request, from 0; `undefined` where there is none. */
export function deciding(table: { text: string; entries: readonly Route[] }, method: string, path: string): number | undefined {
  const found = using(table.text, (of) => ({ entry: of.find(method, path) }));
  const entry = "entry" in found ? found.entry : undefined;
  // The first that looks like it is the one: an equal one behind it never counts.
  const at = table.entries.findIndex((other) => other.pattern === entry?.pattern);
  return at < 0 ? undefined : at;
}

/** Why a request without an entry is refused, by its code: a path without a normal form never comes to the table. */
export function refusal(method: string, path: string): string {
  const policy = Policy.fromJson(JSON.stringify(policyClaims(empty(), crypto.randomUUID(), undefined)));
  const decision = policy.tryOut({ method, path, tls: true });
  try {
    return decision.reason ?? "no_route";
  } finally {
    decision.free();
    policy.free();
  }
}

function using<T>(text: string, use: (table: RouteTable) => T): T | { fault: string } {
  let table: RouteTable;
  try {
    table = RouteTable.parse(text);
  } catch (error) {
    return { fault: (error as KeywardError).message };
  }
  try {
    return use(table);
  } finally {
    table.free();
  }
}
