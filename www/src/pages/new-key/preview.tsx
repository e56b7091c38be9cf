import { useState } from "preact/hooks";
import { useActing } from "../../api/tenant";
import type { LimitName } from "../../api/types";
import { toCreate, type Draft } from "../../terms/draft";
import { cli, curl } from "../../terms/shell";
import { describe } from "../../terms/words";
import { Choice } from "../../ui/field";
import { Copy } from "../../ui/copy";

type Form = "words" | "curl" | "cli";

/** What the draft comes to: in words, and as the lines that would do the same. */
export function Preview({ draft, defaults }: { draft: Draft; defaults: Readonly<Record<LimitName, number>> | undefined }) {
  const [form, setForm] = useState<Form>("words");
  const tenant = useActing();
  const request = { ...toCreate(draft), name: draft.name.trim() || "my key" };
  const line = form === "curl" ? curl(location.origin, request, tenant) : cli(request, tenant);
  return (
    <section class="card stack">
      <Choice label="What it comes to" value={form} options={[["words", "In words"], ["curl", "curl"], ["cli", "Command"]]} onChange={setForm} />
      {form === "words" ? (
        <dl class="facts">
          {describe(draft, defaults).map(([what, says]) => (
            <div class="fact" key={what}>
              <dt>{what}</dt>
              <dd>{says}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <div class="stack tight">
          <pre tabIndex={0} aria-label={form === "curl" ? "As a curl line" : "As a command"}>{line}</pre>
          <div class="row end">
            <Copy text={line} label="Copy the line" words />
          </div>
        </div>
      )}
    </section>
  );
}
