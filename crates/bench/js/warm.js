// What costs less than a microsecond: recognising a key, and refusing what is none.
//
// Every call gets a text of its own, cut out of a longer one as a key is cut out of a header: nothing has hashed it
// before. A slot here does the loop itself; `text` does it with nothing in it, for the others to subtract.

// Contenders by name; each does so many calls, and throws where a verdict is wrong. `texts` are genuine keys, `manifest`,
// `root` and `statuses` (list 0) what a gate needs to admit them, `keyward` and `Gate` the package that has it.
export function warm({ texts, manifest, root, statuses, keyward, Gate }) {
  const known = fresh(texts);
  const map = new Map(texts.map((text, i) => [text, i]));
  const now = Date.now();
  const keys = () => keyward.KeySet.open(manifest, [root], now);
  const lists = new keyward.StatusLists();
  lists.add(0, statuses, keys(), now);
  const gate = new Gate(keys(), "live", lists);
  const refused = (texts, code) => {
    const next = fresh(texts);
    const codes = new Set(texts.map((text) => keyward.reasonCode(gate.admit(text, now))));
    if (codes.size !== 1 || !codes.has(code)) throw new Error(`refused as ${[...codes]} instead of ${code}`);
    return (count) => run(count, next, (text) => gate.admit(text, now) !== 0);
  };
  return {
    text: (count) => run(count, known, (text) => text.length > 0),
    "map-get": (count) => run(count, known, (text) => map.get(text) !== undefined),
    "verify.warm": (count) => run(count, known, (text) => gate.admit(text, now) === 0),
    "reject.malformed": refused(malformed(texts), "malformed"),
    "reject.label": refused(mislabelled(texts), "malformed"),
    "reject.character": refused(foreign(texts), "malformed"),
    "reject.checksum": refused(damaged(texts), "checksum_mismatch"),
  };
}

let kept;

function run(count, next, verdict) {
  for (let done = 0; done < count; done++) {
    // Kept, so that it has to be made.
    kept = next(done);
    if (!verdict(kept)) throw new Error("a wrong verdict");
  }
}

// Makes a function that cuts out one of the texts, anew each time.
function fresh(texts) {
  const joined = texts.join("");
  const starts = new Uint32Array(texts.length);
  for (let i = 1; i < texts.length; i++) starts[i] = starts[i - 1] + texts[i - 1].length;
  const ends = starts.map((start, i) => start + texts[i].length);
  return (n) => joined.slice(starts[n % starts.length], ends[n % starts.length]);
}

// What comes in a key's place: a third each a key cut short, another vendor's key, and a JWT.
function malformed(texts) {
  const ways = [(text, i) => text.slice(0, 20 + (i % 100)), (text) => `sk-${text.slice(20, 68)}`, (text) => `ey${text.slice(20)}.${text}.${text}`];
  return texts.map((text, i) => ways[i % 3](text, i));
}

// As long as a key, by another name or for another environment.
function mislabelled(texts) {
  return texts.map((text, i) => (i % 2 ? `sk-${text.slice(3)}` : text.replace("_live_", "_prod_")));
}

// With a character somewhere in the body that no key has.
function foreign(texts) {
  return texts.map((text, i) => replaced(text, 10 + (i % 133), "-"));
}

// With another last character: only the checksum tells.
function damaged(texts) {
  return texts.map((text) => replaced(text, text.length - 1, text.endsWith("0") ? "1" : "0"));
}

function replaced(text, at, by) {
  return text.slice(0, at) + by + text.slice(at + 1);
}
