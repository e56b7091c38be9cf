// Recent decisions of edges: read, followed as they come, explained.
import { useQuery } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { address, call, send } from "./client";
import { useActing } from "./tenant";
import type { Decision, DecisionExplained, Verdict } from "./types";

const API = "/api/v1/decisions";
/** How many of those that came last are kept. */
const SHOWN = 100;
/** Where the browser doesn't ask again by itself. */
const AGAIN_MS = 5_000;

/** The newest. */
export function useRecent(limit: number) {
  return useQuery({
    queryKey: ["decisions", limit],
    queryFn: ({ signal }) => call<Decision[]>("GET", API, { query: { limit }, signal }),
    refetchInterval: 15_000,
  });
}

/** One, with the rules that it was made by. */
export function useDecision(id: number) {
  return useQuery({ queryKey: ["decision", id], queryFn: ({ signal }) => call<DecisionExplained>("GET", `${API}/${id}`, { signal }), staleTime: Infinity });
}

export interface Tail {
  /** Newest first; `undefined`: not known yet. */
  readonly decisions: readonly Decision[] | undefined;
  /** Whether they are told as they come. */
  readonly open: boolean;
  readonly fault: unknown;
}

/** Those that came last, and those that come for as long as it runs. */
export function useTail(outcome: Verdict | undefined, runs: boolean): Tail {
  const tenant = useActing();
  const [decisions, setDecisions] = useState<readonly Decision[]>();
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState<unknown>();
  useEffect(() => setDecisions(undefined), [outcome, tenant]);
  useEffect(() => {
    if (!runs) return;
    const leaving = new AbortController();
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const begin = async () => {
      try {
        const last = await call<Decision[]>("GET", API, { query: { outcome, limit: SHOWN }, signal: leaving.signal });
        if (leaving.signal.aborted) return;
        setDecisions(last);
        setFault(undefined);
        source = new EventSource(address(`${API}/stream`, { outcome, after: last[0]?.id ?? 0 }));
        source.onopen = () => setOpen(true);
        source.addEventListener("decision", ({ data }) => {
          const told = JSON.parse(data as string) as Decision;
          setDecisions((now = []) => [told, ...now.filter(({ id }) => id !== told.id)].slice(0, SHOWN));
        });
        // The browser goes on where it was, unless the origin has refused: then asking again tells why.
        source.onerror = () => {
          setOpen(false);
          if (source?.readyState === EventSource.CLOSED) timer = setTimeout(() => void begin(), AGAIN_MS);
        };
      } catch (cause) {
        if (leaving.signal.aborted) return;
        setFault(cause);
        timer = setTimeout(() => void begin(), AGAIN_MS);
      }
    };
    void begin();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      source?.close();
      setOpen(false);
    };
  }, [outcome, runs, tenant]);
  return { decisions, open, fault };
}

export interface Position {
  readonly epoch: number;
  readonly seq: number;
}

/** How far the feed goes that edges follow, as the origin's metrics say. */
export function usePosition() {
  return useQuery({
    queryKey: ["position"],
    queryFn: async ({ signal }): Promise<Position | null> => {
      const text = await (await send("GET", "/metrics", { signal })).text();
      const gauge = (name: string) => Number(text.match(new RegExp(`^keyward_${name} (\\d+)$`, "m"))?.[1] ?? NaN);
      const [epoch, seq] = [gauge("feed_epoch"), gauge("feed_seq")];
      return Number.isNaN(epoch) || Number.isNaN(seq) ? null : { epoch, seq };
    },
    refetchInterval: 15_000,
  });
}
