// Server-sent events, read so that silence shows. A browser's own reader doesn't tell of the comments by which the origin says that
// it's still there: a connection that has died, or an origin that hangs, looks alive to it.
import { send, type Request } from "./client";

/** The origin says something every 10 seconds. */
const SILENCE_MS = 15_000;

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Follows a stream until it ends; throws where there is none, and where it falls silent. */
export async function follow(path: string, request: Request & { signal: AbortSignal }, opened: () => void, told: (event: ServerEvent) => void): Promise<void> {
  const silence = new AbortController();
  const signal = AbortSignal.any([request.signal, silence.signal]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  try {
    const response = await send("GET", path, { ...request, signal, stream: true });
    opened();
    heard();
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = read(block);
        if (event) told(event);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** An event of a block of lines, as the origin writes them; `undefined`: it was a comment. */
function read(block: string): ServerEvent | undefined {
  const fields = (name: string) => block.split("\n").filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ""));
  const data = fields("data");
  return data.length === 0 ? undefined : { event: fields("event")[0] ?? "message", data: data.join("\n") };
}
