// The route table of an edge: written, checked and tried out here, by the code that reads it there. It is sent nowhere.
import "../../styles/routes.css";
import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useCapabilities } from "../../api/catalogue";
import type { Route } from "../../pkg/keyward";
import { Badge } from "../../ui/badge";
import { Copy } from "../../ui/copy";
import { Empty } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { Table } from "../../ui/table";
import { useCore } from "../../wasm";
import { EXAMPLE, MOST_ROUTES, read, type Read } from "./read";
import { TryRoute } from "./try-route";

export default function Routes() {
  const { loaded, fault, again } = useCore();
  const [text, setText] = useState("");
  const table = useMemo(() => (loaded ? read(text) : undefined), [loaded, text]);
  return (
    <div class="page">
      <h1>Routes</h1>
      <p class="faint">
        An edge's route table says what each endpoint of the service behind it asks for: a capability, or just a key that holds. The first entry that matches counts. A request
        without an entry is refused, so an empty table refuses everything. The table is the edge's own, in its variable <code>KEYWARD_ROUTES</code>; paste it to see what it does.
      </p>
      {fault !== undefined && <Fault cause={fault} retry={again} />}
      <div class="split">
        <div class="stack">
          <Field
            label="Route table"
            error={table && "fault" in table ? table.fault : undefined}
            hint={
              <>
                An entry a line: <code>POST /v1/chat/** -&gt; llm:gpt-4 costs 25</code>. Without a method: any. <code>*</code> is one segment, <code>**</code> all that follow. Lines with{" "}
                <code>#</code> are comments.
              </>
            }
          >
            {(control) => (
              <textarea {...control} class="mono" rows={10} spellcheck={false} autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
            )}
          </Field>
          <div class="row end">
            {text === "" && (
              <button type="button" class="button" onClick={() => setText(EXAMPLE)}>
                Begin with an example
              </button>
            )}
            {table && "entries" in table && table.entries.length > 0 && <Copy text={text} label="Copy the table" words />}
          </div>
          {table && <Entries table={table} />}
        </div>
        <aside class="aside" aria-label="Try it out">
          <TryRoute table={table && "entries" in table ? table : undefined} />
        </aside>
      </div>
    </div>
  );
}

function Entries({ table }: { table: Read }) {
  const catalogue = useCapabilities();
  if ("fault" in table) return null;
  if (table.entries.length === 0) return <Empty title="No entry yet">An edge with this table refuses every request with no_route.</Empty>;
  const known = (requirement: string) => requirement === "authenticated" || !catalogue.data || catalogue.data.some(({ value }) => value === requirement);
  return (
    <>
      <p class="faint" role="status">
        {table.entries.length} of at most {MOST_ROUTES.toLocaleString()} entries
      </p>
      <Table
        label="Entries"
        rows={table.entries.map((route, at) => ({ ...route, at: at + 1 }))}
        id={({ at }) => String(at)}
        columns={[
          { title: "Endpoint", lead: true, cell: ({ at, pattern }) => <span><span class="faint">{at}.</span> <code class="break">{pattern}</code></span> },
          { title: "Asks for", cell: ({ requirement }) => <Requirement requirement={requirement} known={known(requirement)} /> },
          { title: "Costs at most", number: true, cell: ({ costCents }) => (costCents === 0 ? "–" : `${costCents.toLocaleString()} cents`) },
        ]}
      />
    </>
  );
}

function Requirement({ requirement, known }: { requirement: Route["requirement"]; known: boolean }) {
  if (requirement === "authenticated") return <>a key that holds</>;
  if (known) return <Link class="mono" href={`/keys?capability=${encodeURIComponent(requirement)}`}>{requirement}</Link>;
  return (
    <span class="row" title="It stands in no catalogue that is seen here: no key can be given it">
      <code>{requirement}</code> <Badge tone="warn">in no catalogue</Badge>
    </span>
  );
}
