// What is known of the origin: a cache for each who is signed in and tenant in which they act. What is asked or changed in one
// goes into that one's, however late its answer comes, and is never taken for another's.
import { QueryClient } from "@tanstack/preact-query";
import { useLayoutEffect } from "preact/hooks";
import { Problem } from "./problem";

/** What is the same in every tenant: who is signed in, and which tenants there are. */
export const shared = empty();
const caches = new Map<string, QueryClient>();

/** A place's: whose eyes, and in which tenant. What isn't answered when one leaves would be asked again in the next one. */
export function useCache(place: string): QueryClient {
  const cache = caches.get(place) ?? empty();
  caches.set(place, cache);
  useLayoutEffect(() => () => void cache.cancelQueries(), [cache]);
  return cache;
}

/** Forgets everything but one thing that all know. What is still on its way goes to a cache that nobody looks at. */
export function forget(but: string): void {
  shared.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== but });
  for (const cache of caches.values()) cache.clear();
  caches.clear();
}

function empty(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        // A refusal stays one; what fails in passing is tried twice more.
        retry: (failures, cause) => failures < 2 && cause instanceof Problem && cause.passing,
        networkMode: "always",
      },
      mutations: { networkMode: "always" },
    },
  });
}
