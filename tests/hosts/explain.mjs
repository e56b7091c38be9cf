// Asks the package for browsers, as the inspector does, about every key, token and request of the vectors:
// `node explain.mjs PACKAGE FILE…`. Prints a report a file: how many explanations say what the vector expects, and which don't.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [location, ...files] = process.argv.slice(2);
const { KeySet, Policy, RouteTable, StatusLists } = await import(pathToFileURL(location).href);

/** What is given to all cases: a manifest, status lists, and what the origin tells of keys that were amended. */
function world({ roots, steps, routes }) {
  const of = (kind) => steps.filter((step) => kind in step);
  const [{ manifest, now_ms }] = of("manifest");
  const keys = KeySet.open(manifest, roots, now_ms);
  const statuses = new StatusLists();
  for (const { shard: [number, text], now_ms } of of("shard")) statuses.add(number, text, keys, now_ms);
  for (const { page: [, text] } of of("page")) {
    for (const [index, policy, expires] of JSON.parse(text).amendments) statuses.amended(index, policy, expires === 0xffff_ffff ? undefined : expires);
  }
  for (const { snapshot } of of("snapshot")) {
    const successors = new Map(JSON.parse(Buffer.from(snapshot.split(".")[1], "base64url").toString()).supersessions);
    const last = (policy) => (successors.has(policy) ? last(successors.get(policy)) : policy);
    for (const policy of successors.keys()) statuses.superseded(policy, last(policy));
  }
  return { keys, statuses, routes: routes && RouteTable.parse(routes) };
}

const ask = {
  key: ({ keys, statuses }, { key, now_ms }) => keys.examine(key, "live", statuses, now_ms).explanation.code,
  // What the vectors expect of a token has the words of another interface; so whether it holds.
  token: ({ keys, statuses }, { text, audience, now_ms }) =>
    keys.examineToken(text, audience, "live", statuses, now_ms).explanation.code && "refused",
  decision: (world, { key, policy, request, now_ms }) => {
    const { explanation, key: verified } = world.keys.examine(key, "live", world.statuses, now_ms);
    return decide(world, policy, request, explanation, (policy, facts) => policy.explainFor(verified, facts));
  },
  "token-decision": (world, { token, audience, policy, request, now_ms }) => {
    const { explanation, token: verified } = world.keys.examineToken(token, audience, "live", world.statuses, now_ms);
    return decide(world, policy, request, explanation, (policy, facts) => verified.explain(policy, facts));
  },
};

function decide({ routes }, claims, { method, path, address, domain, tls }, { code }, explain) {
  const policy = Policy.fromJson(JSON.stringify(claims));
  const requirement = routes.find(method, path)?.requirement;
  const facts = { method, path, address: address ?? undefined, domain: domain ?? undefined, tls, requirement };
  // The path is what an edge looks at first.
  const { code: own } = policy.explain(facts);
  if (own === "path_refused") return own;
  // Limits are counted after the decision.
  return code ?? explain(policy, facts).steps.find((step) => step.rule !== "limits" && step.code !== null)?.code ?? null;
}

for (const file of files) {
  const { operation, given, cases } = JSON.parse(readFileSync(file, "utf8"));
  const failures = [];
  for (const one of cases) {
    const found = ask[operation](world(given), one);
    const { error = null } = one.expected;
    const expected = operation === "token" ? error && "refused" : error;
    if (found !== expected) failures.push(`${one.name}: expected ${expected}, found ${found}`);
  }
  console.log(JSON.stringify({ passed: cases.length - failures.length, failures }));
}
