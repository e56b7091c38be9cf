// A request's hold on a slot of its key: from its permission until its answer has come to its end, or the client has gone.
//
// The context of a request can be cut off without a word. So a hold says every second that it is still there, in that
// context (src/limits/under_way.rs has the other half); and it is told there when its slot can't be held any longer, and
// ends its request.
import * as glue from "./glue.js";

// src/limits/under_way.rs has the same.
const TICK_MS = 1000;

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
  return new Hold(slot, request, env, context);
};

export class Hold {
  /** Whether the slot could not be held any longer. */
  lost = false;
  /** Whether the client has gone. */
  left = false;
  #slot;
  #abort = new AbortController();
  #timer;
  #resolve;

  constructor(slot, request, env, context) {
    this.#slot = slot;
    this.#timer = setInterval(() => {
      const said = glue.slotHeld(slot, Date.now());
      if (!(said & HELD)) {
        this.lost = true;
        this.#abort.abort();
      }
      if (said & DUE) glue.gateTend(env, context);
    }, TICK_MS);
    request.signal.addEventListener("abort", () => {
      this.left = true;
      this.#abort.abort();
    });
    // Else all of this would be gone with the client.
    context.waitUntil(new Promise((resolve) => (this.#resolve = resolve)));
  }

  /** Tells when the request has to end. */
  get signal() {
    return this.#abort.signal;
  }

  /** The same response, at whose end the hold ends; undefined for a WebSocket, whose end nobody could tell. */
  follow(response, method) {
    if (response.webSocket) {
      response.webSocket.accept();
      response.webSocket.close(1011);
      return undefined;
    }
    if (response.body === null || method === "HEAD") {
      this.end();
      return response;
    }
    // Its length goes on as it is; where the runtime decodes the body, and encodes it again, nobody knows that of either.
    const length = response.headers.has("content-encoding") ? null : response.headers.get("content-length");
    const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(+length);
    const ended = () => this.end();
    response.body.pipeTo(writable, { signal: this.signal }).then(ended, ended);
    return new Response(readable, response);
  }

  /** Ends it. */
  end() {
    clearInterval(this.#timer);
    glue.slotFree(this.#slot);
    this.#resolve();
  }
}
