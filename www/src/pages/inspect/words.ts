// Steps of a decision, for people.
import type { Step } from "../../pkg/keyward";
import { codeWords, RULES } from "../../terms/reasons";

export function ruleTitle({ rule, source }: Step): string {
  const [title] = RULES[rule];
  return source === "token" && rule !== "shape" ? `${title} (token)` : title;
}

export function stepWords({ rule, passed, code }: Step): string {
  if (code !== null) return codeWords(code);
  return passed === null ? "Not looked at: it is refused before." : RULES[rule][1];
}
