// A request's hold on a slot of its key: from its permission until its answer is made, or the client has gone.
//
// The head of a short answer says that it is made; any other has to be seen to its end, in the edge's own hands
// (docs/decisions/0096-a-short-answer-is-made-when-it-begins.md).
//
// The context of a request can be cut off without a word. So a hold says every second that it is still there, in that
// context (src/limits/under_way.rs has the other half); and it is told there when its slot can't be held any longer, and
// ends its request.
import * as glue from "./glue.js";

// src/limits/under_way.rs has the same.
const TICK_MS = 1000;

// An answer that says to be no longer than this, in bytes, is short: connections hold so much by themselves.
const SHORT = 64 * 1024;

// A WebSocket has its slot for so long after it opens: nobody can say when it ends
// (docs/decisions/0129-a-websocket-is-handed-on.md). Well below the 30 s after which the runtime cuts off what goes on behind an answer.
const OPENING_MS = 10_000;

// What src/hold.rs answers.
const HELD = 1;
const DUE = 2;

// What belongs to a request on the long way, for which Rust asks with the request alone.
const contexts = new WeakMap();

/** Notes in which context a request goes the long way. */
export function goesLongWay(request, env, context) {
  contexts.set(request, { env, context });
}

globalThis.keywardHold = (slot, request) => {
  const { env, context } = contexts.get(request);
  const hold = new Hold(slot, request, env, context);
  // Rust waits for the upstream, and is to hear that it has ended.
  hold.stay();
  return hold;
};

export class Hold {
  /** Whether the slot could not be held any longer. */
  lost = false;
  /** Whether the client has gone. */
  left = false;
  #slot;
  #context;
  #abort = new AbortController();
  #timer;
  #leave;

  constructor(slot, request, env, context) {
    this.#slot = slot;
    this.#context = context;
    this.#timer = setInterval(() => {
      const said = glue.slotHeld(slot, Date.now());
      if (!(said & HELD)) {
        this.lost = true;
        this.#abort.abort();
      }
      if (said & DUE) glue.gateTend(env, context);
    }, TICK_MS);
    // A listener that is added costs several times as much. It is the last that runs here, unless somebody stays.
    request.signal.onabort = () => {
      this.left = true;
      this.#abort.abort();
      this.end();
    };
  }

  /** Tells when the request has to end. */
  get signal() {
    return this.#abort.signal;
  }

  /** Keeps the context when the client is gone, until the hold ends. */
  stay() {
    if (this.#leave === undefined) this.#context.waitUntil(new Promise((resolve) => (this.#leave = resolve)));
  }

  /** The same response; the hold ends with it, and where this throws, is still to be ended. `length` is what it says of its body's. */
  follow(response, method, length = response.headers.get("content-length")) {
    if (response.webSocket) {
      // It waits for a slow reader as it is, and no message costs a call: only the runtime can do that. Where the slot is lost, it ends
      // with the signal that it was asked for with.
      this.stay();
      setTimeout(() => this.end(), OPENING_MS);
      return response;
    }
    if (method === "HEAD" || (length !== null && +length <= SHORT) || response.body === null) {
      this.end();
      return response;
    }
    // Its length goes on as it is; where the runtime decodes the body, and encodes it again, nobody knows that of either.
    const known = length !== null && !response.headers.has("content-encoding");
    const { readable, writable } = known ? new FixedLengthStream(+length) : new IdentityTransformStream();
    const anew = new Response(readable, response);
    const ended = () => this.end();
    this.stay();
    response.body.pipeTo(writable, { signal: this.signal }).then(ended, ended);
    return anew;
  }

  /** Ends it. */
  end() {
    clearInterval(this.#timer);
    this.#leave?.();
    glue.slotFree(this.#slot);
  }
}
