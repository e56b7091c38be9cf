// The form of a key: what it may do, where from, how much, how long.
import { useState } from "preact/hooks";
import { useCapabilities, useScopes } from "../api/catalogue";
import type { Problem } from "../api/problem";
import { useCaller, useCan } from "../api/session";
import { LIMITS, type Capability, type LimitName, type Scope } from "../api/types";
import { Choice, Field } from "../ui/field";
import { Fault } from "../ui/fault";
import { LIMIT_WORDS, NEVER, read, UNLIMITED, type Draft } from "./draft";

interface Props {
  draft: Draft;
  onChange: (changes: Partial<Draft>) => void;
  /** What the origin said of the last attempt. */
  problem: Problem | undefined;
  /** Whether the key is there already: some of it can't be changed any more. */
  existing?: boolean;
}

export function TermsForm(props: Props) {
  return (
    <>
      <About {...props} />
      <What {...props} />
      <Where {...props} />
      <HowMuch {...props} />
      <HowLong {...props} />
    </>
  );
}

function About({ draft, onChange, problem, existing }: Props) {
  const caller = useCaller();
  return (
    <section class="card stack">
      <h2>What it is for</h2>
      <Field label="Name" hint="For people: the program or person that will hold it." error={problem?.of("name")}>
        {(control) => <input {...control} required maxLength={128} value={draft.name} onInput={(event) => onChange({ name: event.currentTarget.value })} />}
      </Field>
      <Field label="Description" error={problem?.of("description")}>
        {(control) => (
          <input {...control} maxLength={1024} value={draft.description} onInput={(event) => onChange({ description: event.currentTarget.value })} />
        )}
      </Field>
      <div class="columns">
        <Field label="Owner" hint={existing ? "Another owner takes it over." : `Whose it is; unless named, ${caller.owner}.`} error={problem?.of("owner_id")}>
          {(control) => (
            <input
              {...control}
              maxLength={128}
              placeholder={caller.owner}
              disabled={caller.scope === "user"}
              value={draft.owner_id}
              onInput={(event) => onChange({ owner_id: event.currentTarget.value })}
            />
          )}
        </Field>
        {!existing && (
          <Choice
            label="Environment"
            value={draft.environment}
            options={[["live", "Live"], ["test", "Test"]]}
            hint="An edge takes keys of its own environment alone."
            onChange={(environment) => onChange({ environment })}
          />
        )}
      </div>
    </section>
  );
}

const REACH: readonly Scope[] = ["user", "tenant", "admin"];

function What({ draft, onChange, problem, existing }: Props) {
  const caller = useCaller();
  const scopes = useScopes();
  const within = REACH.slice(0, REACH.indexOf(caller.scope) + 1);
  const described = scopes.data?.find((scope) => scope.value === draft.scope)?.description;
  return (
    <section class="card stack">
      <h2>What it may do</h2>
      {!existing && (
        <Choice
          label="Scope"
          value={draft.scope}
          options={within.map((scope) => [scope, scope[0]!.toUpperCase() + scope.slice(1)] as const)}
          hint={described && `${described}. It can't be changed later.`}
          onChange={(scope) => onChange({ scope })}
        />
      )}
      <Capabilities chosen={draft.capabilities} onChange={(capabilities) => onChange({ capabilities })} error={problem?.of("capabilities")} />
    </section>
  );
}

interface CapabilitiesProps {
  chosen: readonly string[];
  onChange: (chosen: readonly string[]) => void;
  error: string | undefined;
}

function Capabilities({ chosen, onChange, error }: CapabilitiesProps) {
  const can = useCan();
  const { data, error: fault, refetch } = useCapabilities();
  const [text, setText] = useState("");
  if (fault) return <Fault cause={fault} retry={() => void refetch()} />;
  // Names that stand in no catalogue: `rag:*`, or what was taken out of it.
  const others = chosen.filter((value) => !data?.some((entry) => entry.value === value)).map((value) => ({ value, label: value, category: "Other", own: true }));
  const found = [...(data ?? []), ...others].filter(({ value, label }) => `${value} ${label}`.toLowerCase().includes(text.toLowerCase()));
  const groups = Map.groupBy(found, ({ category }) => category);
  const toggle = (value: string) => onChange(chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value]);
  const option = ({ value, label }: Capability) => {
    const on = chosen.includes(value);
    return (
      <label class="check" key={value} title={can(value) || on ? value : "The key that is signed in doesn't have it, and so can't give it"}>
        <input type="checkbox" checked={on} disabled={!can(value) && !on} onChange={() => toggle(value)} />
        <span>
          {label} <code class="faint">{value}</code>
        </span>
      </label>
    );
  };
  return (
    <div class="stack">
      <div class="row">
        <strong>Capabilities</strong>
        <span class="faint">{chosen.length} chosen</span>
      </div>
      <input type="text" aria-label="Find capabilities" placeholder="Find by name" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      {error && <span class="field-error">{error}</span>}
      <div class="columns">
        {[...groups].map(([category, entries]) => (
          <fieldset class="stack tight" key={category}>
            <legend>
              <h3>{category}</h3>
            </legend>
            {entries.map(option)}
          </fieldset>
        ))}
      </div>
    </div>
  );
}

const PLACES = [
  ["allowed_endpoints", "Endpoints", "POST /v1/chat/**", "One a line, with or without a method. None: every endpoint."],
  ["blocked_endpoints", "Endpoints that are refused", "DELETE /v1/**", "Whatever else is said."],
  ["allowed_ips", "Addresses", "203.0.113.0/24", "Addresses and CIDR blocks. None: any."],
  ["allowed_domains", "Web pages", "*.example.com", "Hosts of the Origin header. None: any."],
] as const;

function Where({ draft, onChange, problem }: Props) {
  return (
    <section class="card stack">
      <h2>Where and from where</h2>
      <div class="columns">
        {PLACES.map(([name, label, example, hint]) => (
          <Field key={name} label={label} hint={hint} error={problem?.of(name)}>
            {(control) => (
              <textarea {...control} class="mono" rows={3} spellcheck={false} placeholder={example} value={draft[name]} onInput={(event) => onChange({ [name]: event.currentTarget.value })} />
            )}
          </Field>
        ))}
      </div>
      <label class="check">
        <input type="checkbox" checked={draft.require_tls} onChange={(event) => onChange({ require_tls: event.currentTarget.checked })} />
        Over TLS only
      </label>
    </section>
  );
}

function HowMuch({ draft, onChange, problem, existing }: Props) {
  const scopes = useScopes();
  const defaults = scopes.data?.find((scope) => scope.value === draft.scope)?.default_limits;
  const set = (name: LimitName, value: string) => onChange({ limits: { ...draft.limits, [name]: value } });
  return (
    <section class="card stack">
      <h2>How much</h2>
      <p class="faint">
        {existing ? "0 allows nothing." : `Left empty, a limit is as usual for the scope ${draft.scope}. 0 allows nothing.`} Hours, days and months are those of UTC.
      </p>
      <div class="columns">
        {LIMITS.map((name) => {
          const unlimited = draft.limits[name] === UNLIMITED;
          return (
            <div class="stack tight" key={name}>
              <Field label={LIMIT_WORDS[name][0]} error={problem?.of(name)}>
                {(control) => (
                  <input
                    {...control}
                    type="number"
                    min={0}
                    step={1}
                    disabled={unlimited}
                    placeholder={existing ? "" : String(defaults?.[name] ?? "")}
                    value={unlimited ? "" : draft.limits[name]}
                    onInput={(event) => set(name, event.currentTarget.value)}
                  />
                )}
              </Field>
              <label class="check small">
                <input type="checkbox" checked={unlimited} onChange={(event) => set(name, event.currentTarget.checked ? UNLIMITED : existing ? "0" : "")} />
                <span>
                  Unlimited<span class="unseen"> {LIMIT_WORDS[name][0].toLowerCase()}</span>
                </span>
              </label>
            </div>
          );
        })}
      </div>
    </section>
  );
}

const EXPIRIES = ["7", "30", "90", "365", NEVER] as const;

function HowLong({ draft, onChange, problem, existing }: Props) {
  // A state of its own: what is typed may be on its way through one of the usual numbers.
  const [other, setOther] = useState(!EXPIRIES.some((days) => days === draft.expires));
  const broken = draft.constraints.trim() !== "" && read(draft.constraints) === undefined;
  return (
    <section class="card stack">
      <h2>How long, and how it is used</h2>
      <div class="columns">
        {!existing && (
          <div class="stack tight">
            <Choice
              label="Expires after"
              value={other ? "other" : draft.expires}
              options={[...EXPIRIES.map((days) => [days, days === NEVER ? "Never" : `${days} days`] as const), ["other", "Other"] as const]}
              onChange={(expires) => (setOther(expires === "other"), onChange({ expires: expires === "other" ? "180" : expires }))}
            />
            {other && (
              <Field label="Days" error={problem?.of("expires_in_days")}>
                {(control) => <input {...control} type="number" min={1} max={3650} value={draft.expires} onInput={(event) => onChange({ expires: event.currentTarget.value })} />}
              </Field>
            )}
          </div>
        )}
        <Field label="Rotate every so many days" hint="You are reminded; nothing rotates by itself." error={problem?.of("rotation_period_days")}>
          {(control) => <input {...control} type="number" min={1} max={3650} placeholder="never" value={draft.rotation} onInput={(event) => onChange({ rotation: event.currentTarget.value })} />}
        </Field>
      </div>
      {!existing && (
        <label class="check">
          <input type="checkbox" checked={draft.token_exchange} onChange={(event) => onChange({ token_exchange: event.currentTarget.checked })} />
          Can be exchanged for short-lived tokens
        </label>
      )}
      <details open={problem?.of("tenant_constraints") !== undefined}>
        <summary>Constraints for the upstream</summary>
        <Field
          label="Constraints, in JSON"
          hint={`Named values that travel to the upstream with each request. Empty: ${existing ? "as they are" : "the usual ones"}.`}
          error={broken ? "This isn't a JSON object." : problem?.of("tenant_constraints")}
        >
          {(control) => (
            <textarea {...control} class="mono" rows={5} spellcheck={false} placeholder={'{"max_file_size_bytes": 10485760}'} value={draft.constraints} onInput={(event) => onChange({ constraints: event.currentTarget.value })} />
          )}
        </Field>
      </details>
    </section>
  );
}
