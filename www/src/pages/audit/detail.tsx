// One record, as it stands in the chain.
import { Link } from "wouter-preact";
import type { AuditRecord } from "../../api/types";
import { Copy } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { exact } from "../../ui/time";
import { actionWords } from "./actions";

export function Detail({ record, onClose }: { record: AuditRecord; onClose: () => void }) {
  const { seq, at_ms, action, actor, address, user_agent, request_id, target, before, after, details, prev, hash } = record;
  const facts: readonly (readonly [string, preact.ComponentChildren])[] = [
    ["When", exact(at_ms)],
    ["By", actor ? <Link href={`/keys/${actor.key}`}>{`${actor.owner} (${actor.key})`}</Link> : "the server itself"],
    ["To", target ? (target.kind === "api_key" ? <Link href={`/keys/${target.id}`}>{`${target.kind} ${target.id}`}</Link> : `${target.kind} ${target.id}`) : "–"],
    ["From address", address ?? "–"],
    ["Client", user_agent ?? "–"],
    ["Request", request_id ?? "–"],
    ["Hash of the one before", prev],
    ["Hash", hash],
  ];
  return (
    <Dialog title={`Record ${seq}: ${actionWords(action)}`} onClose={onClose} wide>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt key={name}>{name}</dt>
            <dd class="mono break">{value}</dd>
          </>
        ))}
      </dl>
      <Members title="Before" members={before} />
      <Members title="After" members={after} />
      <Members title="Details" members={details} />
      <div>
        <Copy text={JSON.stringify(record)} label="Copy the record" words />
      </div>
    </Dialog>
  );
}

function Members({ title, members }: { title: string; members: Readonly<Record<string, unknown>> | null }) {
  if (members === null || Object.keys(members).length === 0) return null;
  return (
    <section class="stack tight">
      <h3>{title}</h3>
      <pre tabindex={0}>{JSON.stringify(members, null, 2)}</pre>
    </section>
  );
}
