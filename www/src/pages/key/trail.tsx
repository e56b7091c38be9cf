// What was done to the key, by whom; and the tokens that were made from it.
import { Link } from "wouter-preact";
import { TRAIL, useKeyTrail } from "../../api/keys";
import { useCaller, useCan } from "../../api/session";
import type { AuditRecord, Key } from "../../api/types";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Table } from "../../ui/table";
import { Time } from "../../ui/time";

const TOKEN_ISSUED = "token_issued";

/** Whether the caller may read the trail at all. */
function useReads(): boolean {
  const [caller, can] = [useCaller(), useCan()];
  return caller.scope !== "user" && can("audit:read");
}

export function Trail({ apiKey }: { apiKey: Key }) {
  const reads = useReads();
  const trail = useKeyTrail(apiKey.id, reads);
  return (
    <section class="stack" aria-labelledby="trail">
      <h2 id="trail">What was done to it</h2>
      {!reads ? (
        <Empty title="Not for this session">The audit trail is for keys of tenant or admin scope that have audit:read.</Empty>
      ) : trail.isPending ? (
        <Loading />
      ) : trail.data === undefined ? (
        <Fault cause={trail.error} retry={() => void trail.refetch()} />
      ) : (
        <>
          <Records records={trail.data.filter(({ action }) => action !== TOKEN_ISSUED)} more={trail.data.length === TRAIL} />
          {trail.data.length === TRAIL && (
            <p>
              There is more: <Link href={`/audit?key=${apiKey.id}`}>all of its trail</Link>.
            </p>
          )}
        </>
      )}
    </section>
  );
}

function Records({ records, more }: { records: readonly AuditRecord[]; more: boolean }) {
  if (records.length === 0 && more) return <Empty title="Nothing lately">Its last {TRAIL} records are all of tokens.</Empty>;
  if (records.length === 0) return <Empty title="Nothing yet">Every change of the key is written down here, in the transaction that makes it.</Empty>;
  return (
    <Table
      label="What was done to it"
      rows={records}
      id={({ seq }) => String(seq)}
      columns={[
        { title: "Action", lead: true, cell: ({ action }) => <strong>{action.replaceAll("_", " ")}</strong> },
        { title: "By", cell: ({ actor }) => (actor ? <Link href={`/keys/${actor.key}`}>{actor.owner}</Link> : "the server") },
        { title: "When", cell: ({ at_ms }) => <Time at={at_ms} /> },
        { title: "From", cell: ({ address }) => <span class="mono">{address ?? "–"}</span> },
        { title: "What changed", cell: (record) => <Changes record={record} /> },
      ]}
    />
  );
}

function Changes({ record: { before, after, seq } }: { record: AuditRecord }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (names.length === 0) return <span class="faint">–</span>;
  return (
    <details>
      <summary>{names.length > 3 ? `${names.length} members` : names.join(", ")}</summary>
      <dl class="changes" aria-label={`Record ${seq}`}>
        {names.map((name) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono">
              {before && name in before && <del>{JSON.stringify(before[name])}</del>} {after && name in after && <ins>{JSON.stringify(after[name])}</ins>}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

export function Tokens({ apiKey }: { apiKey: Key }) {
  const reads = useReads();
  const issued = useKeyTrail(apiKey.id, reads, TOKEN_ISSUED);
  if (!reads) return null;
  return (
    <section class="stack" aria-labelledby="tokens">
      <h2 id="tokens">Tokens issued from it</h2>
      {issued.isPending ? (
        <Loading />
      ) : issued.data === undefined ? (
        <Fault cause={issued.error} retry={() => void issued.refetch()} />
      ) : issued.data.length === 0 ? (
        <Empty title="None so far">
          {apiKey.token_exchange
            ? "A key can be exchanged for a token of a few minutes that permits less: for a browser, a job, a partner."
            : "This key was made without the exchange."}
        </Empty>
      ) : (
        <Table
          label="Tokens issued from it"
          rows={issued.data}
          id={({ seq }) => String(seq)}
          columns={[
            { title: "Tokens", lead: true, cell: ({ details }) => <strong>{number(details?.["count"])}</strong> },
            { title: "By", cell: ({ details }) => words(details?.["grant"]) },
            { title: "First", cell: ({ details }) => <Time at={text(details?.["first"])} /> },
            { title: "Last", cell: ({ details }) => <Time at={text(details?.["last"])} /> },
            { title: "Id of the last one", cell: ({ details }) => <span class="mono break">{text(details?.["last_jti"]) ?? "–"}</span> },
            { title: "For", cell: ({ actor }) => actor?.owner ?? "–" },
          ]}
        />
      )}
    </section>
  );
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function number(value: unknown): string {
  return typeof value === "number" ? value.toLocaleString() : "–";
}

function words(value: unknown): string {
  return text(value)?.replaceAll(/[_-]/g, " ") ?? "–";
}
