// What a token may be narrowed to, by a few presets.
import { useState } from "preact/hooks";
import { LONGEST_SECONDS, type Narrowing } from "../../api/tokens";
import { lines } from "../../terms/draft";
import { Choice, Field } from "../../ui/field";
import { readOnly, type AnyOr, type Terms } from "./terms";

type Where = "all" | "reads" | "these";

export interface Wanted {
  readonly where: Where;
  readonly endpoints: string;
  readonly ips: string;
  readonly seconds: string;
  /** Those that are taken away. */
  readonly without: ReadonlySet<string>;
}

const NOTHING_LESS: Wanted = { where: "all", endpoints: "", ips: "", seconds: String(LONGEST_SECONDS), without: new Set() };

export function useWanted(): [Wanted, (changes: Partial<Wanted>) => void] {
  const [wanted, setWanted] = useState(NOTHING_LESS);
  return [wanted, (changes) => setWanted((now) => ({ ...now, ...changes }))];
}

/** As the origin is asked for it. */
export function narrowing({ where, endpoints, ips, seconds, without }: Wanted, held: Terms): Narrowing {
  const patterns = where === "all" ? [] : where === "reads" ? readOnly(held.endpoints) : lines(endpoints);
  const scope = without.size > 0 ? held.capabilities.filter((capability) => !without.has(capability)) : undefined;
  return { scope, endpoints: patterns, ips: lines(ips), seconds: Number(seconds) };
}

/** What of the policy's payload that changes. */
export function changes({ scope, endpoints, ips }: Narrowing, wanted: Wanted): Partial<Terms> {
  const only = (list: readonly string[]): AnyOr => ({ only: list });
  return {
    ...(scope && { capabilities: scope }),
    ...((endpoints.length > 0 || wanted.where !== "all") && { endpoints: only(endpoints) }),
    ...(ips.length > 0 && { ips: only(ips) }),
  };
}

export function Presets({ held, wanted, set }: { held: Terms; wanted: Wanted; set: (changes: Partial<Wanted>) => void }) {
  const toggle = (capability: string) => {
    const without = new Set(wanted.without);
    if (!without.delete(capability)) without.add(capability);
    set({ without });
  };
  return (
    <>
      <Choice
        label="Where"
        value={wanted.where}
        options={[["all", "Wherever the key may"], ["reads", "Read only"], ["these", "These endpoints"]]}
        onChange={(where) => set({ where })}
      />
      {wanted.where === "these" && (
        <Field label="Endpoints" hint="One a line: POST /v1/chat, or /v1/models/**">
          {(control) => (
            <textarea {...control} class="mono" rows={3} spellcheck={false} value={wanted.endpoints} onInput={(event) => set({ endpoints: event.currentTarget.value })} />
          )}
        </Field>
      )}
      <Choice
        label="How long"
        value={wanted.seconds}
        options={[["60", "One minute"], ["120", "Two minutes"], [String(LONGEST_SECONDS), "Five minutes"]]}
        onChange={(seconds) => set({ seconds })}
        hint="No token lives longer: there is always another one to be had with the key."
      />
      <Field label="From addresses" hint="Addresses or networks, one a line; empty: wherever the key may be used from.">
        {(control) => <textarea {...control} class="mono" rows={2} spellcheck={false} value={wanted.ips} onInput={(event) => set({ ips: event.currentTarget.value })} />}
      </Field>
      <fieldset class="field">
        <legend>What it can do</legend>
        <div class="stack tight">
          {held.capabilities.map((capability) => (
            <label key={capability} class="check mono">
              <input type="checkbox" checked={!wanted.without.has(capability)} onChange={() => toggle(capability)} />
              {capability}
            </label>
          ))}
          {held.capabilities.length === 0 && <span class="faint">The key has no capabilities: it passes where a route asks for nothing else than a key.</span>}
        </div>
      </fieldset>
    </>
  );
}
