// What costs less than a microsecond: recognising a key, and refusing what is none.
//
// Every call gets a text of its own, cut out of a longer one as a key is cut out of a header: nothing has hashed it
// before. A slot here does the loop itself; `text` does it with nothing in it, for the others to subtract.

// Contenders by name; each does so many calls, and throws where a verdict is wrong. `texts` are genuine keys, `manifest`,
// `root` and `statuses` (list 0) what a gate needs to admit them, and `keyward` the package that has the gate.
export function warm({ texts }) {
  const known = fresh(texts);
  const map = new Map(texts.map((text, i) => [text, i]));
  return {
    text: (count) => run(count, known, (text) => text.length > 0),
    "map-get": (count) => run(count, known, (text) => map.get(text) !== undefined),
    // A gate of keyward's is to be added here, as `verify.warm`, `reject.malformed` and `reject.checksum`, with `known`,
    // `fresh(malformed(texts))` and `fresh(damaged(texts))`; and these names to `contenders` of the harness's verify.rs.
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

// A third each: too short, with another prefix, with a character that no key has.
export function malformed(texts) {
  const ways = [(text) => text.slice(0, -1), (text) => `sk-${text.slice(3)}`, (text, i) => replaced(text, 10 + (i % 134), "-")];
  return texts.map((text, i) => ways[i % 3](text, i));
}

// With another last character: only the checksum tells.
export function damaged(texts) {
  return texts.map((text) => replaced(text, text.length - 1, text.endsWith("0") ? "1" : "0"));
}

function replaced(text, at, by) {
  return text.slice(0, at) + by + text.slice(at + 1);
}
