// One slot: so many calls of one contender, each of whose verdicts is checked. Node and workerd run the same.
import { hand } from "./sodium.js";
import * as peers from "./peers.js";
import { Ours, initSync } from "./keyward_bench.js";
import { Gate } from "./keyward/gate.js";
import * as keyward from "./keyward/keyward.js";
import { warm } from "./warm.js";

let contenders;

// Does a slot. `modules`: `ours`, `keyward` (the package), `biscuit` and `sodium`, compiled.
export async function slot(modules, name, count) {
  contenders ??= await prepare(modules);
  const { now, later, warm, samples } = contenders;
  if (warm[name]) return warm[name](count);
  const verifies = now[name] ?? later[name];
  if (!verifies) throw new Error(`no contender ${name}`);
  // Waiting for what is there at once would cost a turn of the queue.
  for (let done = 0; done < count; done++) {
    const verdict = verifies(done % samples);
    if ((verdict === true ? true : await verdict) !== true) throw new Error(`${name} refused a sound sample`);
  }
}

async function prepare(modules) {
  initSync({ module: modules.ours });
  keyward.initSync({ module: modules.keyward });
  const ours = new Ours(Date.now());
  const samples = ours.length;
  const list = (get) => Array.from({ length: samples }, (_, i) => get.call(ours, i));
  const texts = list(ours.text);
  const given = { public: ours.public, messages: list(ours.message), signatures: list(ours.signature) };
  hand(modules.sodium);
  await peers.ready();
  const [signatures, tokens] = [await peers.signatures(given), await peers.tokens(modules.biscuit, samples)];
  const now = {
    nothing: () => true,
    "verify.cold.w6": (i) => ours.w6(i),
    "verify.cold.w8": (i) => ours.w8(i),
    "verify.whole.w6": (i) => ours.wholeW6(texts[i], Date.now()),
    "verify.whole.w8": (i) => ours.wholeW8(texts[i], Date.now()),
    dalek: (i) => ours.dalek(i),
    ...signatures.now,
    ...tokens.now,
  };
  const later = { ...signatures.later, ...tokens.later };
  const { manifest, root, statuses } = ours;
  return { now, later, warm: warm({ texts, manifest, root, statuses, keyward, Gate }), samples };
}
