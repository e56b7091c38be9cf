// The tenants of the deployment: for admins all, for others their own.
import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useCaller, useCan } from "../../api/session";
import { useTenants, type Tenant } from "../../api/tenants";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Icon } from "../../ui/icon";
import { useCommands } from "../../ui/palette";
import { Table } from "../../ui/table";
import { Time } from "../../ui/time";
import { NewTenantDialog } from "./new";

export default function Tenants() {
  const [caller, can] = [useCaller(), useCan()];
  const found = useTenants();
  const [text, setText] = useState("");
  const [making, setMaking] = useState(false);
  const makes = caller.scope === "admin" && can("tenants:create");
  useCommands(useMemo(() => (makes ? [{ title: "New tenant", icon: "plus" as const, run: () => setMaking(true) }] : []), [makes]));
  const rows = (found.data?.tenants ?? []).filter(({ name, slug, id }) => `${name} ${slug} ${id}`.toLowerCase().includes(text.trim().toLowerCase()));
  if (caller.scope === "user") return <Empty title="Not for this session">Tenants are shown to keys of tenant and admin scope.</Empty>;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Tenants</h1>
        {makes && (
          <button type="button" class="button primary" onClick={() => setMaking(true)}>
            <Icon name="plus" /> New tenant
          </button>
        )}
      </div>
      <p class="faint">A tenant has keys, owners, a catalogue and an audit trail of its own, and sees nothing of another's. The database keeps them apart.</p>
      {caller.scope === "admin" && (
        <input type="search" aria-label="Find tenants" placeholder="Find by name, slug or id" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      )}
      {found.isPending ? (
        <Loading />
      ) : !found.data ? (
        <Fault cause={found.error} retry={() => void found.refetch()} />
      ) : rows.length === 0 ? (
        <Empty title="No tenant is like that">Part of its name, slug or id is looked for.</Empty>
      ) : (
        <List tenants={rows} own={caller.tenant} />
      )}
      {found.data?.more && <p class="faint">The first thousand are shown.</p>}
      {making && <NewTenantDialog onClose={() => setMaking(false)} />}
    </div>
  );
}

function List({ tenants, own }: { tenants: readonly Tenant[]; own: string }) {
  return (
    <Table
      label="Tenants"
      rows={tenants}
      id={({ id }) => id}
      columns={[
        {
          title: "Name",
          lead: true,
          cell: ({ id, name, slug }) => (
            <span class="cell-title">
              <Link href={`/tenants/${id}`}>{name}</Link>
              <span class="faint small mono">
                {slug} {id === own && <span class="tag">yours</span>}
              </span>
            </span>
          ),
        },
        { title: "Keys begin with", cell: ({ key_prefix }) => <code>{key_prefix}_</code> },
        { title: "Live keys at most", number: true, cell: ({ ceilings }) => ceilings.live_keys.toLocaleString() },
        { title: "Changed", cell: ({ updated_at }) => <Time at={updated_at} /> },
        { title: "Created", cell: ({ created_at }) => <Time at={created_at} /> },
      ]}
    />
  );
}
