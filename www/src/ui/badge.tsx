import type { ComponentChildren } from "preact";
import type { KeyStatus } from "../api/types";

export type Tone = "good" | "bad" | "warn" | "info" | "plain";

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class="badge" data-tone={tone}>
      {children}
    </span>
  );
}

const TONES: Record<KeyStatus, Tone> = { active: "good", suspended: "warn", expired: "plain", revoked: "bad" };

export function StatusBadge({ status }: { status: KeyStatus }) {
  return <Badge tone={TONES[status]}>{status}</Badge>;
}
