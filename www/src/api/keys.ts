// Keys: what is read of them, and what is done to them.
import { keepPreviousData, useMutation, useQuery, useQueryClient, type QueryClient } from "@tanstack/preact-query";
import { certainly } from "./certain";
import { ask, below, call } from "./client";
import { problem } from "./problem";
import type {
  AuditRecord, Bulk, BulkDone, CreateKey, Key, KeyCreated, KeyFilter, KeyRotated, KeySeries, KeyStatus, UpdateKey, UsageReport,
} from "./types";

const API = "/api/v1/api-keys";

export interface KeyList extends KeyFilter {
  sort: "created" | "name" | "expires";
  order: "asc" | "desc";
  limit: number;
  cursor?: string | undefined;
}

export interface KeyPage {
  readonly keys: readonly Key[];
  /** The cursor of the next page. */
  readonly next: string | undefined;
}

/** A page of the list. What was shown stays until the next page is there. */
export function useKeys(list: KeyList) {
  return useQuery({
    queryKey: ["keys", list],
    queryFn: async ({ signal }): Promise<KeyPage> => {
      const { value, next } = await ask<Key[]>("GET", API, { query: { ...list }, signal });
      const cursor = next && new URLSearchParams(next.split("?")[1]).get("cursor");
      return { keys: value, next: cursor || undefined };
    },
    placeholderData: keepPreviousData,
  });
}

/** The use of keys by day, for all of a page in one question. */
export function useSeries(ids: readonly string[], days: number) {
  return useQuery({
    queryKey: ["series", days, ids],
    queryFn: ({ signal }) => call<KeySeries>("GET", `${API}/analytics/series`, { query: { ids: ids.join(","), days }, signal }),
    enabled: ids.length > 0,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });
}

export function useKey(id: string) {
  return useQuery({ queryKey: ["key", id], queryFn: ({ signal }) => show(id, signal), refetchInterval: 30_000 });
}

export function useKeyUsage(id: string, days: number, interval: "day" | "hour") {
  return useQuery({
    queryKey: ["key", id, "usage", days, interval],
    queryFn: ({ signal }) => call<UsageReport>("GET", below(API, id, "usage"), { query: { days, interval }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });
}

/** The use of all keys that one sees. */
export function useSummary(days: number, interval: "day" | "hour") {
  return useQuery({
    queryKey: ["summary", days, interval],
    queryFn: ({ signal }) => call<UsageReport>("GET", `${API}/analytics/summary`, { query: { days, interval }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });
}

/** Records of a key's trail that are asked for. */
export const TRAIL = 200;

/** What was done to a key, newest first; or one kind of it. */
export function useKeyTrail(id: string, enabled: boolean, action?: string) {
  return useQuery({
    queryKey: ["key", id, "trail", action],
    queryFn: ({ signal }) => call<AuditRecord[]>("GET", "/api/v1/audit", { query: { key: id, action, limit: TRAIL }, signal }),
    enabled,
  });
}

/** `made` has the raw key, and is told whatever has become of the page meanwhile. */
export function useCreateKey(made: (created: KeyCreated) => void) {
  const client = useQueryClient();
  return useMutation({
    // The same attempt under the same name: a retry after a lost answer makes no second key.
    mutationFn: ({ key, attempt }: { key: CreateKey; attempt: string }) =>
      call<KeyCreated>("POST", API, { body: key, idempotency: attempt }),
    onSuccess: (created) => {
      made(created);
      void client.invalidateQueries({ queryKey: ["keys"] });
    },
    // The raw key is in the answer: it isn't kept any longer than it is shown.
    gcTime: 0,
  });
}

interface Edit {
  readonly change: UpdateKey;
  /** Whether a key is as it changes it. */
  readonly done: (now: Key) => boolean;
}

export function useUpdateKey(key: Key) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ change, done }: Edit) =>
      certainly(
        () => call<Key>("PATCH", below(API, key.id), { body: change, etag: key.etag }),
        () => show(key.id),
        (now) => now.etag !== key.etag && done(now),
      ),
    onSuccess: (changed) => settle(client, changed),
    onError: () => client.invalidateQueries({ queryKey: ["key", key.id] }),
  });
}

/** Suspends or resumes, and shows it before the origin has answered: if it refuses, the key is shown as it was. */
export function useStanding(key: Key) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (action: "suspend" | "resume") =>
      certainly(
        () => call<Key>("POST", below(API, key.id, action)),
        () => show(key.id),
        ({ status }) => status === turned(action),
      ),
    onMutate: async (action) => {
      await client.cancelQueries({ queryKey: ["key", key.id], exact: true });
      client.setQueryData(["key", key.id], { ...key, status: turned(action) });
      return key;
    },
    onError: (cause, _action, before) => {
      client.setQueryData(["key", key.id], before);
      if (problem(cause).code === "outcome_unknown") void client.invalidateQueries({ queryKey: ["key", key.id] });
    },
    onSuccess: (changed) => settle(client, changed),
  });
}

function turned(action: "suspend" | "resume"): KeyStatus {
  return action === "suspend" ? "suspended" : "active";
}

export interface Rotation {
  overlap_seconds: number;
  expires_in_days?: number | null;
}

/** `made` as for {@link useCreateKey}. */
export function useRotateKey(key: Key, made: (rotated: KeyRotated) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ rotation, attempt }: { rotation: Rotation; attempt: string }) =>
      call<KeyRotated>("POST", below(API, key.id, "rotate"), { body: rotation, etag: key.etag, idempotency: attempt }),
    onSuccess: (rotated) => {
      made(rotated);
      settle(client, rotated.api_key);
    },
    gcTime: 0,
  });
}

export function useEndRotation(key: Key) {
  const client = useQueryClient();
  // The raw key that is left.
  const left = (how: "finish" | "cancel") => key.credentials.find(({ current }) => current === (how === "finish"))?.created_at;
  return useMutation({
    mutationFn: (how: "finish" | "cancel") =>
      certainly(
        () => call<Key>("POST", below(API, key.id, "rotate", how)),
        () => show(key.id),
        ({ credentials }) => credentials.length === 1 && credentials[0]?.created_at === left(how),
      ),
    onSettled: () => changed(client, key),
  });
}

export function useRenewKey(key: Key) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (days: number | null) =>
      certainly(
        () => call<Key>("POST", below(API, key.id, "renew"), { body: { expires_in_days: days }, etag: key.etag }),
        () => show(key.id),
        ({ etag, expires_at }) => etag !== key.etag && (days === null ? expires_at === null : expires_at !== null && near(expires_at, days)),
      ),
    onSettled: () => changed(client, key),
  });
}

/** Whether a moment is so many days ahead, but for what it takes to ask. */
function near(moment: string, days: number): boolean {
  return Math.abs(Date.parse(moment) - Date.now() - days * 86_400_000) < 300_000;
}

export function useRevokeKey(key: Key) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (reason: string) =>
      certainly<unknown>(
        () => call("DELETE", below(API, key.id, "revoke"), { body: reason === "" ? {} : { reason } }),
        () => show(key.id),
        (now) => (now as Key).status === "revoked",
      ),
    onSettled: () => changed(client, key),
  });
}

export type BulkAction = "suspend" | "resume" | "revoke" | "reassign";

/** One chunk of a bulk action, in the tenant in which the first one was done. */
export function bulk(action: BulkAction, request: Bulk, tenant: string | undefined): Promise<BulkDone> {
  return call<BulkDone>("POST", `${API}/bulk/${action}`, { query: { tenant }, body: request });
}

function show(id: string, signal?: AbortSignal): Promise<Key> {
  return call<Key>("GET", below(API, id), signal && { signal });
}

/** What shows the key is asked anew. */
function changed(client: QueryClient, { id }: Key): void {
  void client.invalidateQueries({ queryKey: ["key", id] });
  void client.invalidateQueries({ queryKey: ["keys"] });
}

function settle(client: QueryClient, key: Key): void {
  // An answer to a change leaves out what costs a look at other tables.
  client.setQueryData<Key>(["key", key.id], (before) => ({ ...key, usage: key.usage ?? before?.usage ?? null }));
  void client.invalidateQueries({ queryKey: ["keys"] });
  void client.invalidateQueries({ queryKey: ["key", key.id, "trail"] });
}
