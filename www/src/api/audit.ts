// The audit trail: searched, exported, and what proves it.
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { ask, send } from "./client";
import type { AuditRecord } from "./types";

const API = "/api/v1/audit";

export interface AuditFilter {
  readonly action?: string | undefined;
  /** Done by this key. */
  readonly actor?: string | undefined;
  /** Done to this key. */
  readonly key?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface AuditPage {
  readonly records: readonly AuditRecord[];
  readonly next: string | undefined;
}

/** A page of the trail, newest first. */
export function useAudit(filter: AuditFilter, cursor: string | undefined, limit: number) {
  return useQuery({
    queryKey: ["audit", filter, cursor, limit],
    queryFn: async ({ signal }): Promise<AuditPage> => {
      const { value, next } = await ask<AuditRecord[]>("GET", API, { query: { ...filter, cursor, limit }, signal });
      return { records: value, next: (next && new URLSearchParams(next.split("?")[1]).get("cursor")) || undefined };
    },
    placeholderData: keepPreviousData,
  });
}

/** The first line of an export. */
export interface ExportHead {
  readonly manifest: string;
  readonly checkpoint: string | null;
  readonly first: number;
  readonly last: number;
}

/** The whole trail, line by line as it arrives: the head, then whole lines of records. */
export async function readTrail(signal: AbortSignal, head: (head: ExportHead) => void, lines: (text: string, count: number) => void): Promise<void> {
  const response = await send("GET", `${API}/export`, { signal, stream: true });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let begun = false;
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    if (!begun) {
      const end = rest.indexOf("\n");
      if (end < 0 && !done) continue;
      head(JSON.parse(rest.slice(0, end < 0 ? undefined : end)) as ExportHead);
      rest = end < 0 ? "" : rest.slice(end + 1);
      begun = true;
    }
    const end = done ? rest.length : rest.lastIndexOf("\n") + 1;
    if (end > 0) {
      const whole = rest.slice(0, end);
      lines(whole, whole.split("\n").filter(Boolean).length);
      rest = rest.slice(end);
    }
    if (done) return;
  }
}
