// Whose keys they are. An owner comes to be when a key first names it, or here before that.
import { useMemo, useState } from "preact/hooks";
import { Link, useSearchParams } from "wouter-preact";
import { useOwners, type Owner } from "../../api/owners";
import { useCaller } from "../../api/session";
import { Badge } from "../../ui/badge";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Icon } from "../../ui/icon";
import { useCommands } from "../../ui/palette";
import { Search } from "../../ui/search";
import { Table } from "../../ui/table";
import { Time } from "../../ui/time";
import { EditOwnerDialog, NewOwnerDialog } from "./edit";
import { StandingDialog } from "./standing";

type Opened = { readonly what: "new" } | { readonly what: "edit" | "standing"; readonly owner: Owner };

export default function Owners() {
  const caller = useCaller();
  const [params, setParams] = useSearchParams();
  const search = params.get("search") ?? "";
  const found = useOwners(search || undefined, params.get("cursor") ?? undefined);
  const [opened, setOpened] = useState<Opened>();
  const close = () => setOpened(undefined);
  // Of user scope nobody manages even itself.
  const manages = caller.scope !== "user";
  useCommands(useMemo(() => (manages ? [{ title: "New owner", icon: "plus" as const, run: () => setOpened({ what: "new" }) }] : []), [manages]));
  const go = (cursor: string | undefined) => setParams((now) => (cursor ? now.set("cursor", cursor) : now.delete("cursor"), now));
  const find = (text: string) => setParams((now) => (text ? now.set("search", text) : now.delete("search"), now.delete("cursor"), now), { replace: true });
  return (
    <div class="page">
      <div class="page-head">
        <h1>Owners</h1>
        {manages && (
          <button type="button" class="button primary" onClick={() => setOpened({ what: "new" })}>
            <Icon name="plus" /> New owner
          </button>
        )}
      </div>
      <p class="faint">A person or a service that keys belong to. To stop all that somebody has, disable the owner.</p>
      <search>
        <Search label="Find owners" placeholder="Find by id, name or email" text={search} onSearch={find} />
      </search>
      {found.isPending ? (
        <Loading />
      ) : !found.data ? (
        <Fault cause={found.error} retry={() => void found.refetch()} />
      ) : found.data.owners.length === 0 && found.data.next ? (
        <Empty title="None among the owners looked at so far">A page looks at a bounded number of owners. Go on to the next one.</Empty>
      ) : found.data.owners.length === 0 && search ? (
        <Empty title="No owner is like that">Part of an id, a name or an email is looked for.</Empty>
      ) : found.data.owners.length === 0 ? (
        <Empty title="No owners yet">An owner is there from the first key that names it, or made here before that.</Empty>
      ) : (
        <Table
          label="Owners"
          busy={found.isPlaceholderData}
          rows={found.data.owners}
          id={({ id }) => id}
          columns={[
            { title: "Owner", lead: true, cell: (owner) => <Named owner={owner} /> },
            { title: "Kind", cell: ({ kind }) => kind },
            { title: "State", cell: ({ disabled }) => <Badge tone={disabled ? "bad" : "good"}>{disabled ? "disabled" : "enabled"}</Badge> },
            { title: "Email", cell: ({ email }) => <span class="break">{email ?? "–"}</span> },
            { title: "Since", cell: ({ created_at }) => <Time at={created_at} /> },
            { title: "Has", cell: ({ id }) => <Link href={`/keys?owner_id=${encodeURIComponent(id)}`} aria-label={`Keys of ${id}`}>Keys</Link> },
            ...(manages ? [{ title: "Change", cell: (owner: Owner) => <Actions owner={owner} open={setOpened} /> }] : []),
          ]}
        />
      )}
      <div class="row end">
        {params.get("cursor") && (
          <button type="button" class="button small" onClick={() => go(undefined)}>
            First page
          </button>
        )}
        {found.data?.next && (
          <button type="button" class="button small" onClick={() => go(found.data?.next)}>
            Next page <Icon name="right" />
          </button>
        )}
      </div>
      {opened?.what === "new" && <NewOwnerDialog onClose={close} />}
      {opened?.what === "edit" && <EditOwnerDialog owner={opened.owner} onClose={close} />}
      {opened?.what === "standing" && <StandingDialog owner={opened.owner} onClose={close} />}
    </div>
  );
}

function Named({ owner: { id, name } }: { owner: Owner }) {
  return (
    <span class="cell-title">
      <strong class="break">{name}</strong>
      {name !== id && <span class="faint small mono break">{id}</span>}
    </span>
  );
}

function Actions({ owner, open }: { owner: Owner; open: (opened: Opened) => void }) {
  return (
    <span class="row">
      <button type="button" class="button small" aria-label={`Edit ${owner.id}`} onClick={() => open({ what: "edit", owner })}>
        Edit
      </button>
      <button
        type="button"
        class={owner.disabled ? "button small" : "button danger small"}
        aria-label={`${owner.disabled ? "Enable" : "Disable"} ${owner.id}`}
        onClick={() => open({ what: "standing", owner })}
      >
        {owner.disabled ? "Enable" : "Disable"}
      </button>
    </span>
  );
}
