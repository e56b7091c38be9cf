import type { ComponentChildren, VNode } from "preact";
import { useId } from "preact/hooks";

export interface Control {
  readonly id: string;
  readonly "aria-describedby": string | undefined;
  readonly "aria-invalid": boolean | undefined;
}

interface Props {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  /** The control: it takes the attributes that tie it to its label, hint and error. */
  children: (control: Control) => VNode;
}

/** A labelled control with a hint, and what is wrong with it. */
export function Field({ label, hint, error, children }: Props) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {hint && (
        <span class="field-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && (
        <span class="field-error" id={`${id}-error`}>
          {error}
        </span>
      )}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [value: T, label: string])[];
  onChange: (value: T) => void;
  hint?: ComponentChildren;
  /** Its label is for screen readers alone. */
  quiet?: boolean;
}

/** One of a few. */
export function Choice<T extends string>({ label, value, options, onChange, hint, quiet }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class="field" aria-describedby={hint ? `${name}-hint` : undefined}>
      <legend class="unseen">{label}</legend>
      {!quiet && <strong aria-hidden="true">{label}</strong>}
      <div>
        <div class="choice">
          {options.map(([option, words]) => (
            <label key={option}>
              <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
              {words}
            </label>
          ))}
        </div>
      </div>
      {hint && (
        <span class="field-hint" id={`${name}-hint`}>
          {hint}
        </span>
      )}
    </fieldset>
  );
}
