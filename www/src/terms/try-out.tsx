// "Would this request pass?", asked of the core in the browser before anything is saved.
import { useMemo, useState } from "preact/hooks";
import { useCapabilities } from "../api/catalogue";
import { useCaller } from "../api/session";
import type { LimitName } from "../api/types";
import { Policy, type KeywardError, type PolicyRequest } from "../pkg/keyward";
import { Badge } from "../ui/badge";
import { Fault } from "../ui/fault";
import { Field } from "../ui/field";
import { useCore } from "../wasm";
import type { Draft } from "./draft";
import { policyClaims } from "./policy";
import { codeWords } from "./reasons";

interface Props {
  draft: Draft;
  /** The limits of those that the draft leaves open. */
  defaults?: Readonly<Record<LimitName, number>> | undefined;
  /** Of a key that is there: what is in force. */
  before?: Draft;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

export function TryOut({ draft, defaults, before }: Props) {
  const { tenant } = useCaller();
  const { data: capabilities = [] } = useCapabilities();
  const { loaded, fault, again } = useCore();
  const [request, setRequest] = useState({ method: "GET", path: "/v1/me", address: "", domain: "", tls: true, requirement: "authenticated" });
  const set = (changes: Partial<typeof request>) => setRequest((now) => ({ ...now, ...changes }));
  const verdict = useMemo(() => (loaded ? judge(policyClaims(draft, tenant, defaults), request) : undefined), [loaded, draft, defaults, tenant, request]);
  const was = useMemo(() => (loaded && before ? judge(policyClaims(before, tenant, defaults), request) : undefined), [loaded, before, defaults, tenant, request]);
  return (
    <section class="card stack" aria-labelledby="try-out">
      <h2 id="try-out">Would this request pass?</h2>
      <div class="try-line">
        <select aria-label="Method" value={request.method} onChange={(event) => set({ method: event.currentTarget.value })}>
          {METHODS.map((method) => (
            <option key={method}>{method}</option>
          ))}
        </select>
        <input aria-label="Path" class="mono" value={request.path} onInput={(event) => set({ path: event.currentTarget.value })} />
      </div>
      <Field label="What the route asks for">
        {(control) => (
          <select {...control} value={request.requirement} onChange={(event) => set({ requirement: event.currentTarget.value })}>
            <option value="authenticated">a key that holds</option>
            {capabilities.map(({ value }) => (
              <option key={value}>{value}</option>
            ))}
          </select>
        )}
      </Field>
      <div class="try-line even">
        <Field label="From address">
          {(control) => <input {...control} class="mono" placeholder="not known" value={request.address} onInput={(event) => set({ address: event.currentTarget.value.trim() })} />}
        </Field>
        <Field label="From page of">
          {(control) => <input {...control} class="mono" placeholder="none" value={request.domain} onInput={(event) => set({ domain: event.currentTarget.value.trim() })} />}
        </Field>
      </div>
      <label class="check">
        <input type="checkbox" checked={request.tls} onChange={(event) => set({ tls: event.currentTarget.checked })} />
        Over TLS
      </label>
      {fault !== undefined && <Fault cause={fault} retry={again} />}
      <output class="row" role="status" data-verdict={verdict?.code}>
        {verdict === undefined ? (
          fault === undefined && <span class="faint">Loading the core…</span>
        ) : (
          <>
            {before && <span>As it is edited:</span>}
            <Badge tone={verdict.tone}>{verdict.title}</Badge>
            <span>{verdict.words}</span>
          </>
        )}
      </output>
      {was && (
        <p class="row" data-before={was.code}>
          As it is now: <Badge tone={was.tone}>{was.title}</Badge>
        </p>
      )}
      <p class="faint small">Decided here, by the code that runs at the edge. Nothing is sent, and nothing is counted.</p>
    </section>
  );
}

interface Verdict {
  readonly tone: "good" | "bad" | "warn";
  readonly title: string;
  readonly words: string;
  readonly code: string;
}

function judge(claims: object, request: { [Name in keyof Required<PolicyRequest>]: NonNullable<PolicyRequest[Name]> }): Verdict {
  let policy: Policy | undefined;
  try {
    policy = Policy.fromJson(JSON.stringify(claims));
    const { address, domain, ...facts } = request;
    const decision = policy.tryOut({ ...facts, ...(address && { address }), ...(domain && { domain }) });
    const { permitted, reason = "" } = decision;
    decision.free();
    if (permitted) return { tone: "good", title: "Passes", words: "If the limits have something left.", code: "passed" };
    return { tone: "bad", title: reason, words: codeWords(reason), code: reason };
  } catch (cause) {
    const { code, message } = cause as KeywardError;
    return { tone: "warn", title: code === "request" ? "Not a request" : "Not a policy yet", words: message, code };
  } finally {
    policy?.free();
  }
}
