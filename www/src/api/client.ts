// The one way to the origin: requests in the session that the browser holds, answers or problems.
import { Problem } from "./problem";
import { named } from "./tenant";

export interface Request {
  readonly query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The state in which alone it is to be done. */
  readonly etag?: string | undefined;
  /** Makes a repetition give the same answer. */
  readonly idempotency?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
  /** The answer goes on for as long as it likes: only its beginning is waited for with impatience. */
  readonly stream?: true;
}

export interface Answer<T> {
  readonly value: T;
  /** The address of the next page. */
  readonly next: string | undefined;
}

/** An answer that takes longer isn't coming. */
const PATIENCE_MS = { GET: 10_000, others: 60_000 };

/** Proves that a change was asked for by these pages and not by another site; the session brings it. */
let csrf: string | undefined;
let ended: ((problem: Problem) => void) | undefined;
let renewed: (() => Promise<boolean>) | undefined;

export function rememberCsrf(token: string | undefined): void {
  csrf = token;
}

/** Calls back when the origin no longer takes the session. */
export function onSessionEnd(callback: (problem: Problem) => void): void {
  ended = callback;
}

/** Calls back when the origin doesn't take the token: whether it is another one now, of the same key. */
export function onCsrfRefused(callback: () => Promise<boolean>): void {
  renewed = callback;
}

/** Asks, and gives the answer with what stands in its headers. */
export async function ask<T>(method: string, path: string, request: Request = {}): Promise<Answer<T>> {
  const response = await send(method, path, request);
  if (response.status === 204) return { value: undefined as T, next: undefined };
  const text = await response.text().catch((cause: unknown) => fail(cause, request));
  return { value: JSON.parse(text) as T, next: nextPage(response.headers.get("link")) };
}

/** Asks, and gives the answer's body. */
export async function call<T>(method: string, path: string, request: Request = {}): Promise<T> {
  return (await ask<T>(method, path, request)).value;
}

/** Asks, and gives the answer as it is. Throws a {@link Problem} where it isn't a success. */
export async function send(method: string, path: string, request: Request = {}): Promise<Response> {
  // Where one is now, however often it is sent.
  const url = address(path, request.query);
  let answer = await attempt(method, url, request);
  // Who has signed in again elsewhere has another cookie, whose token isn't known here yet. Nothing was done.
  if (answer instanceof Problem && answer.code === "csrf_refused" && (await renewed?.().catch(() => false))) answer = await attempt(method, url, request);
  if (answer instanceof Problem) throw answer;
  return answer;
}

async function attempt(method: string, url: string, request: Request): Promise<Response | Problem> {
  const headers = new Headers(request.headers);
  if (request.body !== undefined) headers.set("Content-Type", "application/json");
  if (request.etag !== undefined) headers.set("If-Match", request.etag);
  if (request.idempotency !== undefined) headers.set("Idempotency-Key", request.idempotency);
  if (csrf !== undefined && method !== "GET") headers.set("X-Keyward-CSRF", csrf);
  const body = request.body === undefined ? null : JSON.stringify(request.body);
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), method === "GET" ? PATIENCE_MS.GET : PATIENCE_MS.others);
  const signal = request.signal ? AbortSignal.any([request.signal, impatience.signal]) : impatience.signal;
  const response = await fetch(url, { method, headers, body, credentials: "same-origin", cache: "no-store", redirect: "error", signal }).catch((cause: unknown) => {
    clearTimeout(timer);
    return fail(cause, request);
  });
  if (request.stream) clearTimeout(timer);
  if (response.ok) return response;
  const problem = await Problem.from(response);
  if (problem.status === 401 && csrf !== undefined) ended?.(problem);
  return problem;
}

/** Says that there was no answer, unless nobody wants it any more. */
function fail(cause: unknown, { signal }: Request): never {
  throw signal?.aborted ? cause : Problem.unreachable();
}

/** The address of something below another one, whatever its name has in it. */
export function below(path: string, ...names: readonly string[]): string {
  return [path, ...names.map(encodeURIComponent)].join("/");
}

/** A path with its query, in the tenant in which one acts. */
export function address(path: string, query: Request["query"]): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...named(path), ...query })) if (value !== undefined && value !== "") search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search}`;
}

/** The `next` of a Link header (RFC 8288), as the origin writes it. */
function nextPage(link: string | null): string | undefined {
  return link?.match(/<([^>]+)>;\s*rel="next"/)?.[1];
}
