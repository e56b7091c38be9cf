// One tenant: what it may use up and has, and the way into it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Link, useParams } from "wouter-preact";
import { problem } from "../../api/problem";
import { useCaller, useCan } from "../../api/session";
import { actIn } from "../../api/tenant";
import { CEILINGS, useTenant, type Tenant } from "../../api/tenants";
import { Copy } from "../../ui/copy";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Gauge } from "../../ui/gauge";
import { Icon } from "../../ui/icon";
import { useCommands } from "../../ui/palette";
import { Time } from "../../ui/time";
import { CEILING_WORDS } from "../tenants/words";
import { EditTenantDialog } from "./edit";

export default function TenantPage() {
  const { id = "" } = useParams();
  const tenant = useTenant(id);
  if (tenant.isPending) return <Loading />;
  if (!tenant.data) {
    if (problem(tenant.error).code === "not_found") return <Empty title="There is no such tenant" action={<Link href="/tenants">To the tenants</Link>} />;
    return <Fault cause={tenant.error} retry={() => void tenant.refetch()} />;
  }
  return <Shown tenant={tenant.data} />;
}

function Shown({ tenant }: { tenant: Tenant }) {
  const [caller, can] = [useCaller(), useCan()];
  const [editing, setEditing] = useState(false);
  useEffect(() => void (document.title = `${tenant.name} · Keyward`), [tenant.name]);
  const edits = caller.scope === "admin" && can("tenants:update");
  const enters = caller.scope === "admin";
  const target = tenant.id === caller.tenant ? undefined : tenant.id;
  useCommands(
    useMemo(
      () => [
        ...(edits ? [{ title: "Edit this tenant", icon: "edit" as const, run: () => setEditing(true) }] : []),
        ...(enters ? [{ title: "Act in this tenant", icon: "tenants" as const, run: () => enter(target) }] : []),
      ],
      [edits, enters, target],
    ),
  );
  return (
    <div class="page">
      <div class="page-head">
        <div class="stack tight">
          <span class="row">
            <Link href="/tenants">Tenants</Link>
            <span class="faint">/</span>
          </span>
          <h1 class="break">{tenant.name}</h1>
          <span class="row faint small">
            <code>{tenant.slug}</code>
            <code>{tenant.id}</code>
            <Copy text={tenant.id} label="Copy the id" />
          </span>
        </div>
        <div class="row">
          {edits && (
            <button type="button" class="button" onClick={() => setEditing(true)}>
              <Icon name="edit" /> Edit
            </button>
          )}
          {enters && (
            <button type="button" class="button primary" onClick={() => enter(target)}>
              <Icon name="right" /> Act in it
            </button>
          )}
        </div>
      </div>
      <div class="columns">
        <section class="card stack" aria-labelledby="ceilings">
          <h2 id="ceilings">What it may use up</h2>
          {CEILINGS.map((name) => (
            <div class="stack tight" key={name}>
              <Gauge name={CEILING_WORDS[name][0]} used={tenant.used?.[name] ?? 0} most={tenant.ceilings[name]} />
              <span class="faint small">{CEILING_WORDS[name][1]}</span>
            </div>
          ))}
          <p class="faint small">By the counts that refuse: keys that have expired are among the live ones until they are counted anew, near the ceiling and after each edit here.</p>
        </section>
        <section class="card" aria-labelledby="about">
          <h2 id="about">About it</h2>
          <dl class="facts">
            <dt>Keys begin with</dt>
            <dd>
              <code>{tenant.key_prefix}_</code>
            </dd>
            <dt>Created</dt>
            <dd>
              <Time at={tenant.created_at} />
            </dd>
            <dt>Changed</dt>
            <dd>
              <Time at={tenant.updated_at} />
            </dd>
          </dl>
        </section>
      </div>
      {editing && <EditTenantDialog tenant={tenant} onClose={() => setEditing(false)} />}
    </div>
  );
}

function enter(tenant: string | undefined): void {
  actIn(tenant, "/keys");
}
