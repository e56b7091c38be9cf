// Who is signed in. The key goes to the origin once, which answers with a cookie that no script can read.
import { useMutation, useQuery } from "@tanstack/preact-query";
import { forget, shared } from "./cache";
import { call, onSessionEnd, rememberCsrf } from "./client";
import { Problem } from "./problem";
import type { Session } from "./types";

const SESSION = ["session"] as const;
/** Says that there may be a session, and nothing of it: who never signed in isn't asked about at the origin. */
const MAYBE = "keyward-session";

/** The session; `null`: nobody is signed in; `undefined`: not known yet. */
export function useSession() {
  return useQuery({ queryKey: SESSION, queryFn: current, staleTime: 60_000, refetchInterval: 60_000 }, shared);
}

/** The session of those who are signed in: for pages that are shown to no others. */
export function useCaller(): Session {
  const { data } = useSession();
  if (!data) throw new Error("nobody is signed in");
  return data;
}

/** Whether the session's key has a capability. Only to show what can be done: the origin decides. */
export function holds({ capabilities }: Session, capability: string): boolean {
  return capabilities.includes(capability) || capabilities.includes(`${capability.split(":")[0]}:*`);
}

/** [`holds`] of who is signed in. */
export function useCan(): (capability: string) => boolean {
  const caller = useCaller();
  return (capability) => holds(caller, capability);
}

export function useSignIn() {
  const options = {
    mutationFn: (key: string) => call<Session>("POST", "/session", { headers: { Authorization: `Bearer ${key}` } }),
    onSuccess: begin,
    // The key isn't kept, here either.
    gcTime: 0,
  };
  return useMutation(options, shared);
}

export function useSignOut() {
  return useMutation({ mutationFn: () => call<void>("DELETE", "/session"), onSettled: () => end() }, shared);
}

/** Forgets everything that was shown when the origin says that the session is over. */
export function watchSession(): void {
  onSessionEnd(end);
}

/** Why the last session ended, where the origin said so. */
export let lastEnd: Problem | undefined;

async function current(): Promise<Session | null> {
  if (localStorage.getItem(MAYBE) === null) return null;
  try {
    const session = await call<Session>("GET", "/session");
    rememberCsrf(session.csrf);
    return session;
  } catch (cause) {
    if (cause instanceof Problem && cause.status === 401) {
      localStorage.removeItem(MAYBE);
      return null;
    }
    throw cause;
  }
}

function begin(session: Session): void {
  lastEnd = undefined;
  localStorage.setItem(MAYBE, "");
  rememberCsrf(session.csrf);
  shared.setQueryData(SESSION, session);
}

function end(problem?: Problem): void {
  lastEnd = problem;
  localStorage.removeItem(MAYBE);
  rememberCsrf(undefined);
  forget(SESSION[0]);
  shared.setQueryData(SESSION, null);
}
