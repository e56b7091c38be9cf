// The worker's entry: hands the runtime's events to the WebAssembly instance, and cleans up after a panic.
// `cargo xtask build edge` appends the exports.
//
// A panic, or any other trap, leaves the instance's memory in a state that nobody vouches for, so the bindings make a
// new instance on the next call into it (`schedule_reinit`, which the worker crate asks for on abort). Two things are
// left to do here:
//
// - what was under way in the lost instance will never be answered. A caller of a Durable Object would wait for ever,
//   so those promises are rejected;
// - a Durable Object that was made in the lost instance is a pointer into memory that is gone. It has to be made
//   again, and nothing may be called on it before that has been checked.
import { shortWay } from "./gate.js";
import * as glue from "./glue.js";
import { goesLongWay } from "./hold.js";

// How to reject each call that is under way. A call whose client has gone away never settles and stays here, so the
// oldest make room for new ones.
const pending = new Set();
const MAX_PENDING = 1024;

function call(method, target, ...values) {
  return new Promise((resolve, reject) => {
    if (pending.size >= MAX_PENDING) pending.delete(pending.values().next().value);
    pending.add(reject);
    Promise.resolve(method.apply(target, values)).then(resolve, reject).finally(() => pending.delete(reject));
  });
}

addEventListener("error", (event) => {
  if (!(event.error instanceof WebAssembly.RuntimeError)) return;
  for (const reject of pending) reject(new Error("the WebAssembly instance was lost"));
  pending.clear();
});

const worker = {};
export default worker;

// Exports one of the handlers `fetch`, `queue` and `scheduled`.
function handler(name) {
  const longWay = (event, env, context) => {
    if (name === "fetch") goesLongWay(event, env, context);
    return call(glue[name], undefined, event, env, context);
  };
  worker[name] = name === "fetch" ? (request, env, context) => shortWay(request, env, context) ?? longWay(request, env, context) : longWay;
}

// A class for the runtime around one from Rust.
function durable(Inner) {
  return class {
    #values;
    #object;
    #instance;

    constructor(state, env) {
      this.#values = [state, env];
      this.#current();
    }

    // The object, made anew where its instance is gone. The call into the instance comes first: it is what replaces
    // an instance that has trapped. Instances are numbered by the worker crate as they start.
    #current() {
      const { instanceId } = glue.__worker_init_state();
      if (this.#instance !== instanceId) {
        this.#object = new Inner(...this.#values);
        this.#instance = instanceId;
      }
      return this.#object;
    }

    async fetch(request) {
      const object = this.#current();
      return call(object.fetch, object, request);
    }

    async alarm() {
      const object = this.#current();
      return call(object.alarm, object);
    }
  };
}

