// Asks the package's gate about keys, and the package's long way about the same: `node gate.mjs PACKAGE`, told on standard
// input what the origin publishes and which texts to ask about. Prints both verdicts on each text as JSON.
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${folder}/${name}`).href);
const { ApiKey, KeySet, StatusLists, reasonCode } = await load("keyward.js");
const { Gate } = await load("gate.js");

let input = "";
for await (const chunk of process.stdin) input += chunk;
const { manifest, root, list, now, texts } = JSON.parse(input);
const keys = () => KeySet.open(manifest, [root], now);
const lists = () => {
  const lists = new StatusLists();
  lists.add(0, list, keys(), now);
  return lists;
};

// Everything that holds, thrice: the first time is cold, and memory grows meanwhile.
const gate = new Gate(keys(), "live", lists());
const ask = (text, at) => {
  const refusal = gate.admit(text, at);
  if (refusal === 0) return gate.admitted.id;
  if (gate.admitted !== undefined) throw new Error("a refused key is not admitted");
  return reasonCode(refusal);
};
const reference = (text, at) => {
  try {
    return keys().verify(ApiKey.parse(text), "live", lists(), at).id;
  } catch (error) {
    return error.code;
  }
};
const grown = [];
const verdicts = texts.map((text) => {
  const gates = [];
  for (const at of [now, now, now + 1]) {
    gates.push(ask(text, at));
    grown.push(lists());
  }
  gate.useKeys(keys());
  gates.push(ask(text, now));
  return { gates, reference: reference(text, now), late: [ask(text, now + 1e10), reference(text, now + 1e10)] };
});
console.log(JSON.stringify(verdicts));
