// Recent decisions of edges: read, followed as they come, explained.
import { useQuery } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { call, send } from "./client";
import { follow } from "./events";
import { Problem } from "./problem";
import { useActing } from "./tenant";
import type { Decision, DecisionExplained, Verdict } from "./types";

const API = "/api/v1/decisions";
/** How many of those that came last are kept. */
const SHOWN = 100;
/** Between the end of a stream and the next one. */
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

/** Those that came last, and those that come for as long as it runs and somebody can see it. */
export function useTail(outcome: Verdict | undefined, runs: boolean): Tail {
  const tenant = useActing();
  const seen = useSeen();
  const [decisions, setDecisions] = useState<readonly Decision[]>();
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState<unknown>();
  useEffect(() => setDecisions(undefined), [outcome, tenant]);
  useEffect(() => {
    if (!runs || !seen) return;
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const begin = async () => {
      try {
        const last = await call<Decision[]>("GET", API, { query: { outcome, limit: SHOWN }, signal });
        if (signal.aborted) return;
        setDecisions(last);
        setFault(undefined);
        await follow(`${API}/stream`, { query: { outcome, after: last[0]?.id ?? 0 }, signal }, () => setOpen(true), ({ event, data }) => {
          if (event !== "decision") return;
          const told = JSON.parse(data) as Decision;
          setDecisions((now = []) => [told, ...now.filter(({ id }) => id !== told.id)].slice(0, SHOWN));
        });
      } catch (cause) {
        if (signal.aborted) return;
        setFault(cause instanceof Problem ? cause : Problem.unreachable());
      }
      if (signal.aborted) return;
      setOpen(false);
      timer = setTimeout(() => void begin(), AGAIN_MS);
    };
    void begin();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      setOpen(false);
    };
  }, [outcome, runs, seen, tenant]);
  return { decisions, open, fault };
}

/** Whether the tab is in sight. Of HTTP/1.1 a browser has six connections to an origin, and those out of sight would take all. */
function useSeen(): boolean {
  const [seen, setSeen] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setSeen(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return seen;
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
