// What is on the page. Everything is written as text, never as markup.
import type { Inspection } from "./inspect";
import type { Keys } from "./keys";

const verdict = find("#verdict");
const result = find("#result");
const checks = find("#checks");
const claims = find("#claims");
const about = find("#about");
const trust = find("#trust");

export function showNothing(): void {
  result.hidden = true;
  say("", "");
}

export function showInspection(inspection: Inspection): void {
  const failed = inspection.checks.find((check) => check.passed === false);
  const open = inspection.checks.find((check) => check.passed === undefined);
  if (failed) say("bad", failed.detail);
  else if (open) say("open", `${open.name}: ${open.detail.toLowerCase()}`);
  else say("good", "This key is genuine and holds.");

  checks.replaceChildren(
    ...inspection.checks.map(({ name, passed, detail }) => {
      const item = element("li", "");
      item.dataset["state"] = passed === undefined ? "open" : passed ? "good" : "bad";
      item.append(element("strong", name), element("span", detail));
      return item;
    }),
  );
  claims.replaceChildren(...inspection.claims.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  trust.textContent = inspection.genuine
    ? "What the origin signed:"
    : "What it says of itself, unproved; anybody can write such a thing:";
  about.hidden = inspection.claims.length === 0;
  result.hidden = false;
}

export function showFault(error: unknown): void {
  result.hidden = true;
  say("bad", error instanceof Error ? error.message : "Something went wrong.");
}

export function showKeys(keys: Keys | undefined): void {
  find("#keys").textContent = keys
    ? `Signing keys of ${keys.set.issuer}, manifest ${keys.set.version}, root ${keys.root}`
    : "This origin publishes no manifest: keys can be read here, and not verified.";
}

function say(state: string, text: string): void {
  verdict.dataset["state"] = state;
  verdict.textContent = text;
}

function element(name: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function find(selector: string): HTMLElement {
  return document.querySelector<HTMLElement>(selector)!;
}
