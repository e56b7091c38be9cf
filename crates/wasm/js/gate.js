// Admits keys: whether a text is a key that holds now, by one call into WebAssembly that passes numbers alone. A key
// whose signature has been found to hold is recognised by its whole text; its status and time are looked at each time.
//
//     const gate = new Gate(keys, "live", statuses);
//     const refusal = gate.admit(text, Date.now());     // 0, or the number of a reason
//     if (refusal === 0) use(gate.admitted); else deny(reasonCode(refusal));
import { KeyGate, malformed, wasmMemory } from "./keyward.js";
import { isShaped } from "./shape.js";

const encoder = new TextEncoder();

export class Gate {
  #gate;
  #buffer;
  #malformed = malformed();
  #refusal = this.#malformed;

  constructor(keys, environment, statuses) {
    this.#gate = new KeyGate(keys, environment, statuses);
    this.#look();
  }

  admit(text, now) {
    if (!isShaped(text)) return (this.#refusal = this.#malformed);
    // When WebAssembly's memory grows, what looked at it before looks at nothing.
    if (this.#buffer.length === 0) this.#look();
    return (this.#refusal = this.#gate.admit(encoder.encodeInto(text, this.#buffer).written, now));
  }

  get admitted() {
    return this.#refusal === 0 ? this.#gate.admitted : undefined;
  }

  useKeys(keys) {
    this.#gate.useKeys(keys);
  }

  addStatusList(number, text, now) {
    this.#gate.addStatusList(number, text, now);
  }

  free() {
    this.#gate.free();
  }

  #look() {
    this.#buffer = new Uint8Array(wasmMemory().buffer, this.#gate.address, this.#gate.capacity);
  }
}
