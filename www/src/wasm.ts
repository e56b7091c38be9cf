// The WebAssembly of the core, loaded when a page first needs it: it is the largest thing here. Once it is ready, what
// `./pkg/keyward` exports can be used.
import { useEffect, useState } from "preact/hooks";
import { Problem } from "./api/problem";

const PATIENCE_MS = 60_000;

let loading: Promise<unknown> | undefined;

export function ready(): Promise<unknown> {
  loading ??= Promise.race([start(), tooLate()]).catch((cause: unknown) => {
    // The next one tries again.
    loading = undefined;
    throw new Problem("core_missing", "The core can't be loaded", 0, cause instanceof Error ? cause.message : String(cause));
  });
  return loading;
}

async function start(): Promise<unknown> {
  const { default: load } = await import("./pkg/load");
  return load();
}

function tooLate(): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("It didn't come within a minute.")), PATIENCE_MS));
}

export interface Core {
  readonly loaded: boolean;
  /** Why it isn't. */
  readonly fault: unknown;
  readonly again: () => void;
}

/** The core, for a page that draws itself again when it is there. */
export function useCore(): Core {
  const [turn, setTurn] = useState(0);
  const [loaded, setLoaded] = useState(false);
  const [fault, setFault] = useState<unknown>();
  useEffect(() => {
    setFault(undefined);
    ready().then(() => setLoaded(true), setFault);
  }, [turn]);
  return { loaded, fault, again: () => setTurn(turn + 1) };
}
