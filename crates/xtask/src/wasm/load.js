// Loads the package: `import load from "./load.js"; await load();`.
//
// There are two modules behind one glue: with 128-bit vectors, on which signatures are verified twice as fast, and a
// plain one for hosts that have none.
import init from "./keyward.js";

// A module with a single function, which makes a vector and returns it.
const VECTOR = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

// Where the module for this host stands; a host without fetch reads it from there and gives it to `initSync`.
export const moduleUrl = WebAssembly.validate(VECTOR)
  ? new URL("keyward_bg.wasm", import.meta.url)
  : new URL("keyward_plain_bg.wasm", import.meta.url);

export default function load() {
  return init({ module_or_path: moduleUrl });
}
