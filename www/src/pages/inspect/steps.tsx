import type { Step } from "../../pkg/keyward";
import { Badge } from "../../ui/badge";
import { ruleTitle, stepWords } from "./words";

/** Not known, rather than refuted. */
const OPEN: ReadonlySet<string> = new Set(["status_unavailable", "amendment_unavailable", "issuance_unavailable", "state_unavailable"]);

export function tone({ passed, code }: { readonly passed: boolean | null; readonly code: string | null }): "good" | "bad" | "warn" {
  if (passed === null || (code !== null && OPEN.has(code))) return "warn";
  return passed ? "good" : "bad";
}

/** The steps of a decision, and which of them decided. */
export function Steps({ label, steps }: { label: string; steps: readonly Step[] }) {
  const deciding = steps.find((step) => step.code !== null);
  return (
    <ol class="checks" aria-label={label}>
      {steps.map((step) => (
        <li key={`${step.source} ${step.rule}`} data-tone={tone(step)} data-rule={step.rule} data-source={step.source}>
          <strong>{ruleTitle(step)}</strong>
          <span>
            {stepWords(step)}
            {step.by !== null && (
              <>
                {" "}
                <code class="break">{step.by}</code>
              </>
            )}
            {step === deciding && (
              <>
                {" "}
                <Badge tone={tone(step)}>decides</Badge>
              </>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}
