import type { Tone } from "./badge";

export interface Meter {
  readonly name: string;
  readonly value: number;
  readonly tone?: Tone;
}

/** Names with how much of the whole each has. */
export function Meters({ title, of, none = "None." }: { title: string; of: readonly Meter[]; none?: string }) {
  const most = Math.max(1, ...of.map(({ value }) => value));
  return (
    <section class="stack tight">
      <h3>{title}</h3>
      {of.length === 0 && <p class="faint">{none}</p>}
      <ul class="stack tight">
        {of.map(({ name, value, tone }) => (
          <li class="meter" key={name} data-tone={tone}>
            <span class="mono break">{name}</span>
            <span>{value.toLocaleString()}</span>
            <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
              <rect width={(100 * value) / most} height="1" />
            </svg>
          </li>
        ))}
      </ul>
    </section>
  );
}
