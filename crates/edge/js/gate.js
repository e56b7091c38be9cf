// The short way of a request: what can be decided at once is decided in one call into WebAssembly that passes numbers
// alone; src/gate.rs is its other half, and says why. Whatever is out of the ordinary goes the long way, for which
// `shortWay` gives undefined.
import * as glue from "./glue.js";
import { Hold } from "./hold.js";

// What src/gate.rs answers.
const REOPEN = 1;
const PASS = 2;
const REFUSE = 3;
const LIMIT = 4;
const AS_SENT = 8;
const TOLD = 16;
const HOLDS = 32;
const COSTS = 64;
const DUE = 128;
const CODE_BITS = 8;
const CODE_MASK = 7;

// Where it stands among the numbers.
const NUMBERS = 7;
const BEGINS = 0;
const PLACE = 1;
const TICKET = 2;
const SLOT = 3;
const EPOCH = 4;
const SEQ = 5;
const AGE = 6;

const NOTHING = [];

// Names of headers are the client's to invent: so many are remembered.
const MOST_NAMES = 256;

// The upstream says in this header how many cents a request has cost.
const COST_HEADER = "x-keyward-cost-cents";

const decoder = new TextDecoder();

// The open gate: what `gateOpen` told, and the buffer.
let gate;
// Numbers are never used twice, so that an instance that takes the place of another is told from it.
let opened = 0;

function open() {
  gate = undefined;
  opened += 1;
  const told = glue.gateOpen(opened);
  if (told !== undefined) {
    gate = JSON.parse(told);
    // What was told of identities, at the place of each.
    gate.known = [];
    look();
  }
  return gate !== undefined;
}

// The buffer as it stands now: when WebAssembly's memory grows, what looked at it before looks at nothing.
function look() {
  const { buffer } = glue.gateMemory();
  gate.buffer = new Uint8Array(buffer, gate.address, gate.capacity);
  gate.told = new Float64Array(buffer, gate.numbers, NUMBERS);
}

// Whether each name is to be taken out.
const stripped = new Map();

function isStripped(name) {
  let known = stripped.get(name);
  if (known === undefined) {
    known = glue.gateStrips(name);
    if (stripped.size < MOST_NAMES) stripped.set(name, known);
  }
  return known;
}

// How to answer to each reason: the body and its status and headers.
const refusals = new Map();

function refused(reason, fields = []) {
  let answer = refusals.get(reason);
  if (answer === undefined) {
    answer = JSON.parse(glue.gateRefusal(reason));
    refusals.set(reason, answer);
  }
  const { status, headers, body } = answer;
  return new Response(body, { status, headers: fields.length === 0 ? headers : [...headers, ...fields] });
}

// Writes a line into the buffer and says where it ends; beyond the buffer where it doesn't fit, or isn't ASCII. A call of
// the runtime's encoder costs more than the whole decision.
function write(text, at) {
  const { buffer, capacity } = gate;
  const { length } = text;
  if (at + length >= capacity) return capacity + 1;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return capacity + 1;
    buffer[at++] = code;
  }
  buffer[at++] = 10;
  return at;
}

// The lines of the buffer, up to this length.
function read(length) {
  if (length === 0) return NOTHING;
  if (gate.buffer.length === 0) look();
  // The last one has an end, too.
  return decoder.decode(gate.buffer.subarray(0, length - 1)).split("\n");
}

// The headers that these lines tell from `at` on: a name, then its value.
function pairs(lines, at) {
  if (at >= lines.length) return NOTHING;
  const found = [];
  for (; at + 1 < lines.length; at += 2) found.push([lines[at], lines[at + 1]]);
  return found;
}

// Whether a response is an answer. The runtime takes an interim one (1xx) for the final one, and can make none with a status
// beyond 599. src/forward.rs has the same.
function isAnswer(response) {
  const { status } = response;
  return (status >= 200 && status <= 599) || (status === 101 && Boolean(response.webSocket));
}

// The upstream's response with these headers, and without what it says to the edge alone. It can't be changed, so that it is made
// anew; but not one that opens a WebSocket. src/forward.rs has the same.
function withFields(response, fields) {
  const costs = response.headers.has(COST_HEADER);
  if ((fields.length === 0 && !costs) || response.status === 101) return response;
  const anew = new Response(response.body, response);
  if (costs) anew.headers.delete(COST_HEADER);
  for (const [name, value] of fields) anew.headers.set(name, value);
  return anew;
}

// What a request's headers say to the edge, and what of them goes on; undefined where one can't be put into an object:
// its name would set the prototype. One walk over all of them costs less than asking for a few by name, and an object
// from which nothing is taken out again is read faster by `fetch`.
function survey(headers) {
  const onward = {};
  let authorization;
  let apiKey;
  let address = "";
  let origin = "";
  let tls = "";
  let tokens = "";
  let framed = false;
  for (const pair of headers) {
    const name = pair[0];
    const value = pair[1];
    if (name === "authorization") authorization = value;
    else if (name === "x-api-key") apiKey = value;
    else if (name === "origin") origin = value;
    else if (name === "content-length" || name === "transfer-encoding") framed = true;
    else if (name === "__proto__") return undefined;
    else if (name === "upgrade" && value.toLowerCase() !== "websocket") continue;
    if (name === gate.clientIp) address = value;
    if (name === gate.tls) tls = value;
    if (name === gate.tokens) tokens = value;
    if (!isStripped(name)) onward[name] = value;
  }
  return { key: credential(authorization, apiKey), address, origin, tls, tokens, framed, onward };
}

// The one credential of an ordinary request; undefined where there is none, or more to be said.
function credential(authorization, apiKey) {
  if (authorization === undefined) return apiKey || undefined;
  return apiKey === undefined && authorization.startsWith("Bearer ") ? authorization.slice(7) : undefined;
}

// What an answer says that its request has cost, in cents; not a number where it says nothing.
function cost(headers) {
  const said = headers.get(COST_HEADER);
  return said !== null && /^\d{1,12}$/.test(said) ? +said : NaN;
}

// Counts the upstream's answer, with the length that it says of its body.
function count(instance, ticket, costs, method, response, length, env, context) {
  const bytes = method === "HEAD" || length === null ? 0 : +length;
  const cents = costs ? cost(response.headers) : NaN;
  if (glue.gateAnswered(instance, ticket, response.status, bytes, cents, Date.now())) glue.gateTend(env, context);
}

// The answer where the upstream gave none.
function failed(hold, instance, ticket, fault) {
  hold?.end();
  // Whoever has gone isn't told, and what became of the request isn't known.
  if (hold?.left) return new Response(null, { status: 499 });
  // Between two instances there is no gate.
  return hold?.lost && gate !== undefined ? refused(gate.lost) : glue.gateFailed(instance, ticket, String(fault?.message ?? fault));
}

// Sends a permitted request on, with these headers and those that say as whom it passes.
function pass(answer, url, headers, request, env, context) {
  if (gate.told.length === 0) look();
  // Whatever else calls into WebAssembly may write over them.
  const { told, identity, known } = gate;
  const ticket = told[TICKET];
  const slot = told[SLOT];
  // Another may have taken its place when the answer comes, and know another request by this ticket.
  const instance = opened;
  const lines = read(answer >>> CODE_BITS);
  let at = 0;
  const target = answer & AS_SENT ? url.slice(told[BEGINS]) : lines[at++];
  if (!(answer & TOLD)) known[told[PLACE]] = lines.slice(at, (at += identity.length));
  const values = known[told[PLACE]];
  for (let i = 0; i < identity.length; i++) headers[identity[i]] = values[i];
  headers[gate.decision] = `${told[EPOCH]}.${told[SEQ]}.${told[AGE]}`;
  const fields = pairs(lines, at);
  if (answer & DUE) glue.gateTend(env, context);

  const { method } = request;
  const hold = answer & HOLDS ? new Hold(slot, request, env, context) : undefined;
  // A redirect is the client's to follow, past the edge's decision on it. And without its credential a request looks like
  // anybody's: what it is answered isn't to be kept by a cache, nor to be found in one
  // (docs/decisions/0116-no-cache-behind-the-edge.md).
  return fetch(gate.upstream + target, { method, headers, redirect: "manual", cache: "no-store", signal: hold?.signal }).then(
    (response) => {
      // What is thrown in here the other handler doesn't see.
      try {
        if (!isAnswer(response)) throw new Error(`an answer with the status ${response.status}`);
        const length = response.headers.get("content-length");
        count(instance, ticket, answer & COSTS, method, response, length, env, context);
        return withFields(hold === undefined ? response : hold.follow(response, method, length), fields);
      } catch (fault) {
        return failed(hold, instance, ticket, fault);
      }
    },
    (fault) => failed(hold, instance, ticket, fault),
  );
}

/** The response, or a promise of it; undefined where the request has to go the long way. */
export function shortWay(request, env, context) {
  const { method } = request;
  // A body goes on as it is, its length too, and only a request can hand it on so. Whether there is one costs as much to ask as
  // the whole decision: a GET, which seldom has one, is asked where its headers speak of it.
  const bare = method === "GET" || method === "HEAD";
  if (!bare && request.body !== null) return undefined;
  if (gate === undefined && !open()) return undefined;
  const sent = survey(request.headers);
  if (sent?.key === undefined) return undefined;
  if (sent.framed && bare && request.body !== null) return undefined;
  if (gate.buffer.length === 0) look();

  const { url } = request;
  let length = write(url, write(method, 0));
  length = write(sent.address, write(sent.key, length));
  length = write(sent.tokens, write(sent.tls, write(sent.origin, length)));
  if (length > gate.capacity) return undefined;

  const answer = glue.gateDecide(opened, length - 1, Date.now());
  const rest = answer >>> CODE_BITS;
  switch (answer & CODE_MASK) {
    case PASS:
      return pass(answer, url, sent.onward, request, env, context);
    case REFUSE:
      if (answer & DUE) glue.gateTend(env, context);
      return refused(rest);
    case LIMIT: {
      const lines = read(rest);
      if (answer & DUE) glue.gateTend(env, context);
      return refused(+lines[0], pairs(lines, 1));
    }
    case REOPEN:
      gate = undefined;
      return undefined;
    default:
      return undefined;
  }
}
