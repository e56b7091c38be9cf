// Moments: how long ago or ahead, and exactly when on hover.
import { useEffect, useState } from "preact/hooks";

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 365 * 86_400], ["month", 30 * 86_400], ["day", 86_400], ["hour", 3600], ["minute", 60],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** `in 3 days`, `2 hours ago`, `just now`. */
export function relative(moment: number, now: number): string {
  const seconds = (moment - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.round(seconds / length), unit);
  }
  return seconds > 0 ? "in less than a minute" : "just now";
}

export function exact(moment: number): string {
  return EXACT.format(moment);
}

/** `at`: RFC 3339, or unix milliseconds; `null` shows `never`. */
export function Time({ at, never = "never" }: { at: string | number | null | undefined; never?: string }) {
  useNow();
  if (at == null) return <span class="faint">{never}</span>;
  const moment = typeof at === "number" ? at : Date.parse(at);
  return (
    <time dateTime={new Date(moment).toISOString()} title={exact(moment)}>
      {/* The moment of drawing: what has just happened isn't ahead. */}
      {relative(moment, Date.now())}
    </time>
  );
}

const ticking = new Set<(now: number) => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** The time, anew every half a minute; one timer for all of a page. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    ticking.add(setNow);
    timer ??= setInterval(() => ticking.forEach((tick) => tick(Date.now())), 30_000);
    return () => {
      ticking.delete(setNow);
      if (ticking.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, []);
  return now;
}
