import type { Problem } from "../../api/problem";
import { CEILINGS, type CeilingName } from "../../api/tenants";
import { Field } from "../../ui/field";
import { CEILING_WORDS } from "./words";

export type CeilingTexts = Readonly<Partial<Record<CeilingName, string>>>;

interface Props {
  texts: CeilingTexts;
  onChange: (texts: CeilingTexts) => void;
  problem: Problem | undefined;
}

/** The ceilings of a tenant, as they are written. */
export function CeilingFields({ texts, onChange, problem }: Props) {
  return (
    <div class="columns">
      {CEILINGS.map((name) => (
        <Field key={name} label={CEILING_WORDS[name][0]} hint={CEILING_WORDS[name][1]} error={problem?.of(`ceilings.${name}`)}>
          {(control) => (
            <input
              {...control}
              type="number"
              min={0}
              step={1}
              placeholder="as usual"
              value={texts[name] ?? ""}
              onInput={(event) => onChange({ ...texts, [name]: event.currentTarget.value })}
            />
          )}
        </Field>
      ))}
    </div>
  );
}

/** Those that are written, and differ from what is. */
export function given(texts: CeilingTexts, now?: Readonly<Record<CeilingName, number>>): Partial<Record<CeilingName, number>> {
  const written = CEILINGS.filter((name) => texts[name]?.trim() && Number(texts[name]) !== now?.[name]);
  return Object.fromEntries(written.map((name) => [name, Number(texts[name])]));
}
