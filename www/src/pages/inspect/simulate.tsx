// "Why was this denied?": a request as it was made, and each step of the decision on it.
import { useMutation } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { keyPolicy, type KeyPolicy } from "../../api/policy";
import { useSession } from "../../api/session";
import type { KeywardError, PolicyRequest } from "../../pkg/keyward";
import { Badge } from "../../ui/badge";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { decide, type Outcome, type Subject, type Where } from "./examine";
import type { Keys } from "./published";
import { Steps } from "./steps";
import { codeWords } from "../../terms/reasons";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

interface Props {
  subject: Subject;
  where: Where;
  keys: Keys;
  list: string | undefined;
  told: KeyPolicy | undefined;
  onTold: (told: KeyPolicy) => void;
}

export function Simulate({ subject, where, keys, list, told, onTold }: Props) {
  const session = useSession();
  const asked = useMutation({ mutationFn: keyPolicy, onSuccess: onTold });
  return (
    <section class="card stack" aria-labelledby="simulate">
      <h2 id="simulate">Why was this denied?</h2>
      {told ? (
        <Request decide={(request) => decide(subject, where, keys, list, told, request)} />
      ) : session.data ? (
        <>
          <p>Take the policy in force from the origin, and try a request against it here. Only the key's id is asked for: it is no secret.</p>
          <div>
            <button
              type="button"
              class="button"
              aria-busy={asked.isPending}
              disabled={subject.keyId === undefined}
              onClick={() => subject.keyId !== undefined && asked.mutate(subject.keyId)}
            >
              Take its policy
            </button>
          </div>
          {asked.isError && <Fault cause={asked.error} />}
        </>
      ) : (
        <p>
          <Link href="/keys">Sign in</Link> with a key that may see this one: its policy in force is told to nobody else. Then any request can be tried against it here, step by
          step.
        </p>
      )}
    </section>
  );
}

function Request({ decide }: { decide: (request: PolicyRequest) => Outcome }) {
  const [request, setRequest] = useState({ method: "GET", path: "/v1/me", address: "", domain: "", tls: true, requirement: "authenticated" });
  const set = (changes: Partial<typeof request>) => setRequest((now) => ({ ...now, ...changes }));
  const text = (name: "address" | "domain" | "requirement", label: string, placeholder: string) => (
    <Field label={label}>
      {(control) => (
        <input {...control} class="mono" spellcheck={false} placeholder={placeholder} value={request[name]} onInput={(event) => set({ [name]: event.currentTarget.value.trim() })} />
      )}
    </Field>
  );
  return (
    <>
      <div class="try-line">
        <select aria-label="Method" value={request.method} onChange={(event) => set({ method: event.currentTarget.value })}>
          {METHODS.map((method) => (
            <option key={method}>{method}</option>
          ))}
        </select>
        <input aria-label="Path" class="mono" spellcheck={false} value={request.path} onInput={(event) => set({ path: event.currentTarget.value })} />
      </div>
      {text("requirement", "What the route asks for", "nothing: there is no route")}
      <div class="try-line even">
        {text("address", "From address", "not known")}
        {text("domain", "From page of", "none")}
      </div>
      <label class="check">
        <input type="checkbox" checked={request.tls} onChange={(event) => set({ tls: event.currentTarget.checked })} />
        Over TLS
      </label>
      <Answer request={request} decide={decide} />
    </>
  );
}

function Answer({ request: { address, domain, requirement, ...facts }, decide }: { request: Required<PolicyRequest>; decide: (request: PolicyRequest) => Outcome }) {
  let outcome: Outcome;
  try {
    outcome = decide({ ...facts, ...(address && { address }), ...(domain && { domain }), ...(requirement && { requirement }) });
  } catch (cause) {
    return (
      <output class="row" role="status" data-decision="request">
        <Badge tone="warn">Not a request</Badge> <span>{(cause as KeywardError).message}</span>
      </output>
    );
  }
  const { code, steps } = outcome;
  return (
    <>
      <output class="row" role="status" data-decision={code ?? "passed"}>
        <Badge tone={code === null ? "good" : "bad"}>{code ?? "passes"}</Badge>
        <span>{code === null ? "If its limits have something left." : codeWords(code)}</span>
      </output>
      <Steps label="Steps of the decision" steps={steps} />
      <p class="faint small">Decided here, by the code that runs at the edge. Nothing is sent, and nothing is counted.</p>
    </>
  );
}
