// Who is signed in. The key goes to the origin once, which answers with a cookie that no script can read. All tabs of a browser
// have the one cookie: what one of them does, the others hear of at once.
import { useMutation, useQuery } from "@tanstack/preact-query";
import { forget, shared } from "./cache";
import { call, onCsrfRefused, onSessionEnd, rememberCsrf } from "./client";
import { Problem, problem } from "./problem";
import type { Session } from "./types";

const SESSION = ["session"] as const;
/** Says that there may be a session, and nothing of it: who never signed in isn't asked about at the origin. */
const MAYBE = "keyward-session";
const OTHER_TABS = new BroadcastChannel("keyward-session");

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

/** By whom what is shown was asked for: another key, of whatever tenant, is another one. */
export function identity(session: Session | null | undefined): string | undefined {
  return session ? `${session.tenant} ${session.key}` : undefined;
}

/** Whether the session ended by itself, and nobody is signed in since: who was may mean to go on. */
export function lapsed(): boolean {
  return lastEnd !== undefined && known() === undefined;
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

/** `failed`: it may go on, and who thinks that it doesn't leaves it to the next one at this browser. */
export function useSignOut(failed: (problem: Problem) => void) {
  const options = {
    mutationFn: () => call<void>("DELETE", "/session"),
    onSuccess: () => {
      end();
      OTHER_TABS.postMessage(undefined);
    },
    onError: async (cause: unknown) => {
      const fault = problem(cause);
      if (fault.status === 401) return end();
      // It may have ended all the same, where the answer was lost.
      const left = await ask().catch(() => undefined);
      if (left !== null) failed(fault);
    },
  };
  return useMutation(options, shared);
}

/** Forgets everything that was shown when the origin says that the session is over, or another tab that it is another one. */
export function watchSession(): void {
  onSessionEnd(end);
  onCsrfRefused(async () => {
    const before = known();
    return before !== undefined && identity(await ask()) === before;
  });
  OTHER_TABS.onmessage = ({ data }: MessageEvent<string | undefined>) => {
    // What the other tab has stored may be seen later than what it says.
    if (data === undefined) return forgetSession(undefined);
    localStorage.setItem(MAYBE, "");
    if (data === known()) return void ask().catch(() => {});
    // As whom isn't known before the origin has said so: until then nothing is shown.
    forget(SESSION[0]);
    void shared.resetQueries({ queryKey: SESSION });
  };
}

/** Why the last session ended, where the origin said so. */
export let lastEnd: Problem | undefined;

/** Whose session this tab knows of. */
function known(): string | undefined {
  return identity(shared.getQueryData<Session | null>(SESSION));
}

/** The session as it is now, and not as one is told who asked before. */
async function ask(): Promise<Session | null> {
  await shared.cancelQueries({ queryKey: SESSION });
  return shared.fetchQuery({ queryKey: SESSION, queryFn: current, staleTime: 0, retry: false });
}

async function current({ signal }: { signal: AbortSignal }): Promise<Session | null> {
  const session = await read(signal);
  const before = known();
  rememberCsrf(session?.csrf);
  // Another one's: nothing that the one before was shown stays under this name.
  if (before !== undefined && before !== identity(session)) forget(SESSION[0]);
  return session;
}

async function read(signal: AbortSignal): Promise<Session | null> {
  if (localStorage.getItem(MAYBE) === null) return null;
  try {
    return await call<Session>("GET", "/session", { signal });
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
  take(session);
  OTHER_TABS.postMessage(identity(session));
}

function end(problem?: Problem): void {
  localStorage.removeItem(MAYBE);
  forgetSession(problem);
}

function forgetSession(problem: Problem | undefined): void {
  lastEnd = problem;
  forget(SESSION[0]);
  take(null);
}

/** What is known from now on, whatever the answer is that is on its way. */
function take(session: Session | null): void {
  void shared.cancelQueries({ queryKey: SESSION });
  rememberCsrf(session?.csrf);
  shared.setQueryData(SESSION, session);
}
