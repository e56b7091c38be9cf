// What keys can be given: capabilities, those that ship and the tenant's own, and scopes.
import "../../styles/catalogue.css";
import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useCapabilities, useScopes } from "../../api/catalogue";
import { useCaller, useCan } from "../../api/session";
import { LIMITS, type Capability } from "../../api/types";
import { LIMIT_WORDS } from "../../terms/draft";
import { Badge } from "../../ui/badge";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Icon } from "../../ui/icon";
import { useCommands } from "../../ui/palette";
import { Table } from "../../ui/table";
import { AddDialog } from "./add";

export default function Catalogue() {
  const [caller, can] = [useCaller(), useCan()];
  const found = useCapabilities();
  const [text, setText] = useState("");
  const [adding, setAdding] = useState(false);
  const adds = caller.scope !== "user" && can("tenants:catalog");
  useCommands(useMemo(() => (adds ? [{ title: "Add a capability", icon: "plus" as const, run: () => setAdding(true) }] : []), [adds]));
  const all = found.data ?? [];
  const shown = all.filter(({ value, label, category }) => `${value} ${label} ${category}`.toLowerCase().includes(text.trim().toLowerCase()));
  return (
    <div class="page">
      <div class="page-head">
        <h1>Catalogue</h1>
        {adds && (
          <button type="button" class="button primary" onClick={() => setAdding(true)}>
            <Icon name="plus" /> Add a capability
          </button>
        )}
      </div>
      <p class="faint">
        A capability is a word that a key holds and a route asks for, like <code>rag:search</code>. Keys can be given these and no others; <code>rag:*</code> stands for all of <code>rag</code>.
      </p>
      <input type="search" aria-label="Find capabilities" placeholder="Find by name" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      {found.isPending ? (
        <Loading />
      ) : !found.data ? (
        <Fault cause={found.error} retry={() => void found.refetch()} />
      ) : shown.length === 0 ? (
        <Empty title="Nothing is called that">Part of its name, label or category is looked for.</Empty>
      ) : (
        <div class="catalogue">
          {[...Map.groupBy(shown, ({ category }) => category)].map(([category, entries]) => (
            <Category key={category} name={category} entries={entries} />
          ))}
        </div>
      )}
      {found.data && !all.some(({ own }) => own) && (
        <p class="faint">
          The tenant has none of its own yet. Add those that its routes ask for: what the edge's route table names and the catalogue doesn't, no key can hold.
        </p>
      )}
      <Scopes />
      {adding && <AddDialog categories={[...new Set(all.filter(({ own }) => own).map(({ category }) => category))]} onClose={() => setAdding(false)} />}
    </div>
  );
}

function Category({ name, entries }: { name: string; entries: readonly Capability[] }) {
  return (
    <section class="card" aria-label={name}>
      <h2>{name}</h2>
      <ul class="stack tight">
        {entries.map(({ value, label, own }) => (
          <li class="row" key={value}>
            <Link href={`/keys?capability=${encodeURIComponent(value)}`} title="Keys that have it" class="mono break">
              {value}
            </Link>
            <span class="faint small">{label}</span>
            {own && <Badge tone="info">own</Badge>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Scopes() {
  const scopes = useScopes();
  if (!scopes.data) return scopes.isError ? <Fault cause={scopes.error} retry={() => void scopes.refetch()} /> : <Loading />;
  return (
    <section class="stack" aria-labelledby="scopes">
      <h2 id="scopes">Scopes, and what a key may use unless it is told</h2>
      <Table
        label="Scopes"
        rows={scopes.data}
        id={({ value }) => value}
        columns={[
          { title: "Scope", lead: true, cell: ({ label, description }) => <span class="cell-title"><strong>{label}</strong><span class="faint small">{description}</span></span> },
          ...LIMITS.map((name) => ({ title: LIMIT_WORDS[name][0], number: true, cell: (scope: (typeof scopes.data)[number]) => scope.default_limits[name].toLocaleString() })),
        ]}
      />
    </section>
  );
}
