import { useState } from "preact/hooks";
import type { Route } from "../../pkg/keyward";
import { codeWords } from "../../terms/reasons";
import { Badge } from "../../ui/badge";
import { deciding, refusal } from "./read";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/** Which entry decides on a request, and what it asks for. */
export function TryRoute({ table }: { table: { readonly text: string; readonly entries: readonly Route[] } | undefined }) {
  const [method, setMethod] = useState("GET");
  const [path, setPath] = useState("/v1/me");
  const at = table && path.trim() !== "" ? deciding(table, method, path.trim()) : undefined;
  const entry = at === undefined ? undefined : table?.entries[at];
  const code = table && !entry ? refusal(method, path.trim()) : undefined;
  return (
    <section class="card stack" aria-labelledby="try-route">
      <h2 id="try-route">Which entry decides?</h2>
      <div class="route-line">
        <select aria-label="Method" value={method} onChange={(event) => setMethod(event.currentTarget.value)}>
          {METHODS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <input aria-label="Path" class="mono" spellcheck={false} value={path} onInput={(event) => setPath(event.currentTarget.value)} />
      </div>
      <output class="stack tight" data-verdict={entry ? String(at! + 1) : code}>
        {!table ? (
          <span class="faint">There is no table that can be read.</span>
        ) : entry ? (
          <>
            <span class="row">
              <Badge tone="good">entry {at! + 1}</Badge> <code class="break">{entry.pattern}</code>
            </span>
            <span>
              {entry.requirement === "authenticated" ? "It asks for a key that holds, whatever it can do." : <>It asks for <code>{entry.requirement}</code>.</>}
              {entry.costCents > 0 && ` It may cost ${entry.costCents.toLocaleString()} cents, which are set aside before it passes.`}
            </span>
          </>
        ) : (
          code && (
            <>
              <span class="row">
                <Badge tone="bad">refused</Badge> <code>{code}</code>
              </span>
              <span>{codeWords(code)}</span>
            </>
          )
        )}
      </output>
      <p class="faint small">The query isn't looked at. Whether a key passes then is up to its policy: the inspector and the page of a new key try that out.</p>
    </section>
  );
}
