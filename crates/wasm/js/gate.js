// Admits keys: whether a text is a key that holds now. A key whose signature has been found to hold is recognised by its
// whole text, here, and its status and time are looked at anew, in WebAssembly, by a call that passes two numbers.
//
//     const gate = new Gate(keys, "live", statuses);
//     const refusal = gate.admit(text, Date.now());     // 0, or the number of a reason
//     if (refusal === 0) use(gate.admitted); else deny(reasonCode(refusal));
import { KeyGate, malformed, wasmMemory } from "./keyward.js";
import { isShaped, LONGEST, SHORTEST } from "./shape.js";

const encoder = new TextEncoder();

export class Gate {
  #gate;
  // A view of the buffer in WebAssembly's memory that texts are written to.
  #buffer;
  #malformed = malformed();
  #refusal = this.#malformed;
  // Where in WebAssembly's memory what a known text says stands, and the text at each place. A JavaScript map, because
  // writing a text into WebAssembly's memory costs more than looking it up. Only genuine keys get in.
  #places = new Map();
  #texts = [];

  constructor(keys, environment, statuses) {
    this.#gate = new KeyGate(keys, environment, statuses);
    this.#look();
  }

  admit(text, now) {
    const { length } = text;
    if (length < SHORTEST || length > LONGEST) return (this.#refusal = this.#malformed);
    const place = this.#places.get(text);
    return (this.#refusal = place === undefined ? this.#meet(text, now) : this.#gate.admitKnown(place, now));
  }

  get admitted() {
    return this.#refusal === 0 ? this.#gate.admitted : undefined;
  }

  useKeys(keys) {
    this.#gate.useKeys(keys);
    this.#places.clear();
    this.#texts.length = 0;
  }

  addStatusList(number, text, now) {
    this.#gate.addStatusList(number, text, now);
  }

  free() {
    this.#gate.free();
  }

  #meet(text, now) {
    if (!isShaped(text)) return this.#malformed;
    // When WebAssembly's memory grows, what looked at it before looks at nothing.
    if (this.#buffer.length === 0) this.#look();
    const refusal = this.#gate.admit(encoder.encodeInto(text, this.#buffer).written, now);
    if (refusal === 0) {
      const { place } = this.#gate;
      const former = this.#texts[place];
      if (former !== undefined) this.#places.delete(former);
      this.#texts[place] = text;
      this.#places.set(text, place);
    }
    return refusal;
  }

  #look() {
    this.#buffer = new Uint8Array(wasmMemory().buffer, this.#gate.address, this.#gate.capacity);
  }
}
