import { Badge } from "../../ui/badge";
import { Table } from "../../ui/table";
import type { Compared } from "./terms";

const TITLES: Record<string, string> = {
  capabilities: "Can", endpoints: "Endpoints", blocked_endpoints: "Blocked endpoints", ips: "Addresses", domains: "Web pages",
  require_tls: "TLS", limits: "Limits", constraints: "Constraints", scope: "Scope", tenant: "Tenant",
};

/** What a key permits and what remains of it, side by side. */
export function Side({ compared }: { compared: readonly Compared[] }) {
  return (
    <Table
      label="What the key permits and what remains"
      rows={compared.filter(({ dimension }) => dimension !== "tenant")}
      id={({ dimension }) => dimension}
      columns={[
        { title: "", lead: true, cell: ({ dimension }) => <strong>{TITLES[dimension] ?? dimension}</strong> },
        { title: "The key permits", cell: ({ dimension, held }) => <Value dimension={dimension} value={held} /> },
        { title: "The token permits", cell: ({ dimension, left }) => <Value dimension={dimension} value={left} /> },
        { title: "So it is", cell: (row) => <Verdict {...row} /> },
      ]}
    />
  );
}

function Verdict({ dimension, held, left, within }: Compared) {
  if (!within) return <Badge tone="bad">more than the key permits</Badge>;
  const same = JSON.stringify(held) === JSON.stringify(left);
  return <span data-dimension={dimension}>{same ? <span class="faint">the same</span> : <Badge tone="info">less</Badge>}</span>;
}

function Value({ dimension, value }: { dimension: string; value: unknown }) {
  const lines = written(dimension, value);
  return (
    <ul class="stack tight">
      {lines.map((line) => (
        <li key={line} class="mono break">
          {line}
        </li>
      ))}
    </ul>
  );
}

function written(dimension: string, value: unknown): string[] {
  if (value === "any") return ["anything"];
  if (value === true || value === false) return [value ? "asked for" : "not asked for"];
  if (Array.isArray(value)) return value.length === 0 ? [dimension === "capabilities" ? "nothing" : "none"] : value.map(String);
  if (typeof value === "object" && value !== null) {
    const { only } = value as { only?: unknown };
    if (Array.isArray(only)) return only.length === 0 ? ["nothing"] : only.map(String);
    const members = Object.entries(value).filter(([, member]) => member !== null);
    return members.length === 0 ? [dimension === "limits" ? "unlimited" : "none"] : members.map(([name, member]) => `${name.replaceAll("_", " ")}: ${JSON.stringify(member)}`);
  }
  return [String(value)];
}
