/** How much of what may be used up is used: green, then yellow near the end, then red. */
export function Gauge({ name, used, most }: { name: string; used: number; most: number }) {
  const part = most === 0 ? 1 : used / most;
  const tone = part >= 1 ? "bad" : part >= 0.9 ? "warn" : undefined;
  return (
    <div class="meter" data-tone={tone}>
      <span>{name}</span>
      <span>
        {used.toLocaleString()} of {most.toLocaleString()}
      </span>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width={Math.min(100, 100 * part)} height="1" />
      </svg>
    </div>
  );
}
