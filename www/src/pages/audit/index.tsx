// Who did what, to what, from where; and the proof that nothing of it was changed.
import "../../styles/audit.css";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAudit } from "../../api/audit";
import { problem } from "../../api/problem";
import type { AuditRecord } from "../../api/types";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Icon } from "../../ui/icon";
import { Table } from "../../ui/table";
import { Time } from "../../ui/time";
import { actionWords } from "./actions";
import { PAGE_SIZE, useShown, type Shown } from "./address";
import { Chain } from "./chain";
import { Detail } from "./detail";
import { Filters } from "./filters";

export default function Audit() {
  const shown = useShown();
  const page = useAudit(shown.filter, shown.cursor, PAGE_SIZE);
  const [opened, setOpened] = useState<AuditRecord>();
  if (page.isError && !page.data && problem(page.error).code === "scope_insufficient") {
    return <Empty title="For the tenant">The trail is the tenant's. It takes a key of tenant or admin scope that has audit:read.</Empty>;
  }
  return (
    <div class="page">
      <h1>Audit</h1>
      <Filters shown={shown} />
      {page.isPending ? (
        <Loading />
      ) : !page.data ? (
        <Fault cause={page.error} retry={() => void page.refetch()} />
      ) : page.data.records.length === 0 ? (
        <Empty title={shown.narrowed ? "No record is like that" : "Nothing yet"}>Every change is written down here in the transaction that makes it, and every refusal that somebody with a genuine key got.</Empty>
      ) : (
        <Records records={page.data.records} busy={page.isPlaceholderData} onOpen={setOpened} />
      )}
      {page.data && <Pages shown={shown} next={page.data.next} />}
      <Chain />
      {opened && <Detail record={opened} onClose={() => setOpened(undefined)} />}
    </div>
  );
}

function Records({ records, busy, onOpen }: { records: readonly AuditRecord[]; busy: boolean; onOpen: (record: AuditRecord) => void }) {
  return (
    <Table
      label="Records"
      rows={records}
      id={({ seq }) => String(seq)}
      busy={busy}
      columns={[
        {
          title: "Action",
          lead: true,
          cell: (record) => (
            <button type="button" class="audit-open" onClick={() => onOpen(record)}>
              {actionWords(record.action)} <span class="faint small">#{record.seq}</span>
            </button>
          ),
        },
        { title: "When", cell: ({ at_ms }) => <Time at={at_ms} /> },
        { title: "By", cell: ({ actor }) => (actor ? <Link class="break" href={`/keys/${actor.key}`}>{actor.owner}</Link> : <span class="faint">the server</span>) },
        { title: "To", cell: ({ target }) => <Target target={target} /> },
        { title: "From", cell: ({ address }) => <span class="mono">{address ?? "–"}</span> },
      ]}
    />
  );
}

function Target({ target }: Pick<AuditRecord, "target">) {
  if (target === null) return <span class="faint">–</span>;
  const name = `${target.kind.replaceAll("_", " ")} ${target.id.length > 20 ? `…${target.id.slice(-8)}` : target.id}`;
  return target.kind === "api_key" ? <Link href={`/keys/${target.id}`}>{name}</Link> : <span class="break">{name}</span>;
}

function Pages({ shown, next }: { shown: Shown; next: string | undefined }) {
  return (
    <div class="row end">
      {shown.cursor && (
        <button type="button" class="button small" onClick={() => shown.set({ cursor: undefined })}>
          Newest
        </button>
      )}
      <button type="button" class="button small" disabled={!next} onClick={() => shown.set({ cursor: next })}>
        Older <Icon name="right" />
      </button>
    </div>
  );
}
