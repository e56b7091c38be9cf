// A decision, and the rules that it was made by.
import { Link } from "wouter-preact";
import { useDecision } from "../../api/decisions";
import type { DecisionExplained, DecisionStep } from "../../api/types";
import { codeWords } from "../../terms/reasons";
import { Badge } from "../../ui/badge";
import { Dialog } from "../../ui/dialog";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { exact } from "../../ui/time";

export function Explained({ id, onClose }: { id: number; onClose: () => void }) {
  const found = useDecision(id);
  return (
    <Dialog title={`Decision ${id}`} wide onClose={onClose}>
      {found.isPending ? <Loading /> : !found.data ? <Fault cause={found.error} retry={() => void found.refetch()} /> : <Found told={found.data} />}
    </Dialog>
  );
}

function Found({ told: { decision, steps } }: { told: DecisionExplained }) {
  const facts: readonly (readonly [string, string | null])[] = [
    ["When", exact(Date.parse(decision.time))],
    ["Route", decision.route ?? "none"],
    ["Asks for", decision.capability],
    ["From", decision.address],
    ["Page of", decision.domain],
    ["Over TLS", decision.tls ? "yes" : "no"],
    ["With a token", decision.token ? "yes" : null],
    ["Answered", decision.status === null ? null : `${decision.status}${decision.duration_ms === null ? "" : `, in ${decision.duration_ms} ms`}`],
    ["State", decision.position],
    ["Stands for", decision.weight === 1 ? null : `${decision.weight.toLocaleString()} requests`],
  ];
  // The first one that is broken decides; those after it were broken, too.
  const broken = steps.find(({ passed }) => passed === false);
  return (
    <div class="stack">
      <p class="row">
        <Badge tone={decision.verdict === "passed" ? "good" : "bad"}>{decision.outcome}</Badge>
        <span class="mono break">
          {decision.method} {decision.path}
        </span>
      </p>
      {broken && (
        <div class="notice" data-tone="bad">
          <strong>
            Refused by the rule “{words(broken.rule)}” of the {broken.source}
          </strong>
          <p>{codeWords(decision.outcome)}</p>
          {broken.by && (
            <p>
              It is <code>{broken.by}</code> that says so.
            </p>
          )}
        </div>
      )}
      <dl class="facts">
        <dt>Key</dt>
        <dd>
          <Link class="mono" href={`/keys/${decision.key_id}`}>
            {decision.key_id}
          </Link>
        </dd>
        {facts.map(
          ([name, value]) =>
            value !== null && [
              <dt key={name}>{name}</dt>,
              <dd key={`${name}-value`} class="break">
                {value}
              </dd>,
            ],
        )}
      </dl>
      <h3>Rule by rule</h3>
      {steps.length === 0 ? (
        <p class="faint">They can't be told any more: too little of the request was kept, or its policy is of before a recovery.</p>
      ) : (
        <ol class="overview-steps" aria-label="Rules">
          {steps.map((step) => (
            <Step key={`${step.source} ${step.rule}`} step={step} />
          ))}
        </ol>
      )}
    </div>
  );
}

function words(rule: string): string {
  return rule.replaceAll("_", " ");
}

function Step({ step: { rule, source, passed, code, by } }: { step: DecisionStep }) {
  const [tone, word] = passed === null ? (["plain", "not looked at"] as const) : passed ? (["good", "kept"] as const) : (["bad", "broken"] as const);
  return (
    <li>
      <span>
        {words(rule)} <span class="faint small">of the {source}</span>
      </span>
      <Badge tone={tone}>{word}</Badge>
      {(by || code) && (
        <span class="overview-by small">
          {by && <code>{by}</code>} {code}
        </span>
      )}
    </li>
  );
}
