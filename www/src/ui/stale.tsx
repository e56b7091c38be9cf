// Says of what is shown that it couldn't be asked anew: without it, what has failed would look healthy.
import { useQueryClient, type Query, type QueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { shared } from "../api/cache";
import { problem } from "../api/problem";

interface Behind {
  /** When the oldest of it was answered. */
  readonly since: number;
  readonly cause: unknown;
}

export function Stale() {
  const here = useQueryClient();
  const [behind, setBehind] = useState<Behind>();
  useEffect(() => {
    const caches = [shared, here];
    const update = () => setBehind((was) => same(was, look(caches)));
    const leave = caches.map((cache) => cache.getQueryCache().subscribe(update));
    update();
    return () => leave.forEach((stop) => stop());
  }, [here]);
  if (!behind) return null;
  const { title, code } = problem(behind.cause);
  const again = () => [shared, here].forEach((cache) => void cache.refetchQueries({ predicate: failed }));
  return (
    <div class="notice stale" data-tone="warn" role="status">
      <strong>What is shown may be old</strong>
      <p>
        It is as of {new Date(behind.since).toLocaleTimeString("en-GB")}. Asking anew failed: {title} (<code>{code}</code>).
      </p>
      <div>
        <button type="button" class="button small" onClick={again}>
          Try again
        </button>
      </div>
    </div>
  );
}

/** Whether something that is shown was asked for in vain since. What isn't there at all says so itself. */
function failed(query: Query): boolean {
  const { data, status, fetchFailureCount } = query.state;
  return data !== undefined && query.isActive() && (status === "error" || fetchFailureCount > 0);
}

function look(caches: readonly QueryClient[]): Behind | undefined {
  const queries = caches.flatMap((cache) => cache.getQueryCache().getAll()).filter(failed);
  const [first, ...others] = queries.map(({ state }) => ({ since: state.dataUpdatedAt, cause: state.fetchFailureReason ?? state.error }));
  return first && others.reduce((oldest, one) => (one.since < oldest.since ? one : oldest), first);
}

function same(was: Behind | undefined, now: Behind | undefined): Behind | undefined {
  return was && now && was.since === now.since && problem(was.cause).code === problem(now.cause).code ? was : now;
}
