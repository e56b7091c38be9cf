import { Link } from "wouter-preact";
import type { Key, KeySeries } from "../../api/types";
import { StatusBadge } from "../../ui/badge";
import { Spark } from "../../ui/spark";
import { Table, type Column, type Selection, type Sorting } from "../../ui/table";
import { Time } from "../../ui/time";

/** Days of the small lines. */
export const SPARK_DAYS = 14;

interface Props {
  keys: readonly Key[];
  series: KeySeries | undefined;
  sorting: Sorting;
  selection: Selection | undefined;
  busy: boolean;
}

export function KeyTable({ keys, series, sorting, selection, busy }: Props) {
  const used = new Map(series?.keys.map(({ id, requests }) => [id, requests]));
  const columns: readonly Column<Key>[] = [
    { title: "Name", sort: "name", lead: true, cell: (key) => <Named apiKey={key} /> },
    { title: "Owner", cell: (key) => <span class="break">{key.owner_id}</span> },
    { title: "Scope", cell: (key) => key.scope },
    { title: "Status", cell: (key) => <StatusBadge status={key.status} /> },
    { title: "Last used", cell: (key) => <Time at={key.usage?.last_used} /> },
    { title: "Expires", sort: "expires", cell: (key) => <Time at={key.expires_at} /> },
    { title: "Created", sort: "created", cell: (key) => <Time at={key.created_at} /> },
    { title: `${SPARK_DAYS} days`, cell: (key) => <Use requests={used.get(key.id)} /> },
  ];
  return <Table label="Keys" columns={columns} rows={keys} id={(key) => key.id} sorting={sorting} selection={selection} busy={busy} />;
}

function Named({ apiKey: { id, name, key_hint, environment } }: { apiKey: Key }) {
  return (
    <span class="cell-title">
      <Link href={`/keys/${id}`}>{name}</Link>
      <span class="faint small mono">
        {key_hint} {environment === "test" && <span class="tag">test</span>}
      </span>
    </span>
  );
}

function Use({ requests }: { requests: readonly number[] | undefined }) {
  if (!requests) return null;
  const total = requests.reduce((sum, value) => sum + value, 0);
  return <Spark values={requests} label={`${total.toLocaleString()} requests in ${requests.length} days`} />;
}
