// A WebSocket of a request that holds a slot: the edge stands between its two ends, since only so can it tell when it
// is over. That is when the upstream's end is closed.

// Both ends are told by these (RFC 6455, section 7.4) that the other is gone without a word, or that the edge ends it.
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
const TRY_AGAIN_LATER = 1013;
// No peer may send these: there was no code, and no word at all.
const NO_STATUS = 1005;
const ABNORMAL = 1006;

// The handshakes with client and upstream are two.
const HANDSHAKE = ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions"];

/**
 * The response that opens it to the client, in the place of the upstream's. It is ended when `signal` says so, and
 * `ended` is called when it is over.
 */
export function join(response, signal, ended) {
  const upstream = response.webSocket;
  const { 0: theirs, 1: client } = new WebSocketPair();
  for (const end of [upstream, client]) {
    end.binaryType = "arraybuffer";
    end.accept();
  }
  pass(upstream, client, INTERNAL_ERROR, ended);
  pass(client, upstream, GOING_AWAY);
  signal.addEventListener("abort", () => {
    close(upstream, GOING_AWAY);
    close(client, TRY_AGAIN_LATER);
    ended();
  });
  const headers = new Headers(response.headers);
  for (const name of HANDSHAKE) headers.delete(name);
  return new Response(null, { status: 101, headers, webSocket: theirs });
}

// Passes on what comes from one end, and its end; `gone` is said where it had no words for that.
function pass(from, to, gone, ended) {
  from.addEventListener("message", ({ data }) => {
    try {
      to.send(data);
    } catch {
      // It is closed already, and its own end passes that on.
    }
  });
  const over = (code, reason) => {
    close(to, code === ABNORMAL ? gone : code, reason);
    ended?.();
  };
  from.addEventListener("close", ({ code, reason }) => over(code, reason));
  from.addEventListener("error", () => over(ABNORMAL, ""));
}

function close(end, code, reason) {
  try {
    if (code === NO_STATUS) end.close();
    else end.close(code, reason);
  } catch {
    // It is closed already.
  }
}
