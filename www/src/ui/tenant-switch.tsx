// In which tenant an admin's pages act, where it isn't the admin's own: always in sight, and the way to another one.
import { useMemo, useState } from "preact/hooks";
import { problem } from "../api/problem";
import type { Session } from "../api/types";
import { actIn, isTenant, useActing } from "../api/tenant";
import { useTenant, useTenants } from "../api/tenants";
import { Dialog } from "./dialog";
import { Loading } from "./empty";
import { Fault } from "./fault";
import { Icon } from "./icon";
import { useCommands } from "./palette";

export function TenantSwitch({ session }: { session: Session }) {
  const acting = useActing();
  const [choosing, setChoosing] = useState(false);
  const sees = session.capabilities.some((held) => held === "tenants:read" || held === "tenants:*");
  const { data: tenant, error } = useTenant(acting ?? session.tenant, sees && acting !== undefined);
  useCommands(
    useMemo(() => {
      const home = acting ? [{ title: "Back to your own tenant", icon: "left" as const, run: () => actIn(undefined), general: true as const }] : [];
      return [...(sees ? [{ title: "Act in another tenant", icon: "tenants" as const, run: () => setChoosing(true), general: true as const }] : []), ...home];
    }, [sees, acting]),
  );
  const name = acting === undefined ? session.tenant_name : error && problem(error).code === "not_found" ? "No such tenant" : (tenant?.name ?? acting);
  return (
    <>
      <button
        type="button"
        class={acting ? "button small shell-tenant acting" : "button quiet small shell-tenant"}
        title={acting ? `You act in ${name}, which isn't your own tenant` : "Act in another tenant"}
        aria-label={`Tenant: ${name}`}
        onClick={() => setChoosing(true)}
      >
        <Icon name="tenants" /> <span>{name}</span>
      </button>
      {choosing && <Choose own={session.tenant} acting={acting} sees={sees} onClose={() => setChoosing(false)} />}
    </>
  );
}

interface ChooseProps {
  own: string;
  acting: string | undefined;
  sees: boolean;
  onClose: () => void;
}

function Choose({ own, acting, sees, onClose }: ChooseProps) {
  const [text, setText] = useState("");
  const tenants = useTenants(sees);
  const found = (tenants.data?.tenants ?? []).filter(({ id, name, slug }) => `${name} ${slug} ${id}`.toLowerCase().includes(text.trim().toLowerCase()));
  const id = text.trim().toLowerCase();
  const go = (id: string) => {
    onClose();
    actIn(id === own ? undefined : id);
  };
  return (
    <Dialog title="Act in a tenant" onClose={onClose}>
      <p class="faint">Every page then shows that tenant's keys, owners, catalogue and trail, and changes go there. What you do is recorded in its trail, under your key.</p>
      {acting && (
        <div>
          <button type="button" class="button" onClick={() => go(own)}>
            <Icon name="left" /> Back to your own
          </button>
        </div>
      )}
      <input type="text" aria-label="Find a tenant" placeholder="Find by name, slug or id" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      {!sees ? (
        <p>The key that is signed in has no tenants:read, so none are listed here. Name one by its id.</p>
      ) : tenants.isPending ? (
        <Loading />
      ) : !tenants.data ? (
        <Fault cause={tenants.error} retry={() => void tenants.refetch()} />
      ) : (
        <ul class="tenant-list">
          {found.map(({ id, name, slug }) => (
            <li key={id}>
              <button type="button" class="button quiet" aria-current={id === (acting ?? own) ? "true" : undefined} onClick={() => go(id)}>
                {name} <code class="faint">{slug}</code> {id === own && <span class="tag">yours</span>}
              </button>
            </li>
          ))}
          {found.length === 0 && <li class="faint">No tenant is like that.</li>}
          {tenants.data.more && <li class="faint">The first thousand are listed. Others are found by their id.</li>}
        </ul>
      )}
      {found.length === 0 && isTenant(id) && (
        <div>
          <button type="button" class="button" onClick={() => go(id)}>
            <Icon name="right" /> Act in the tenant with this id
          </button>
        </div>
      )}
    </Dialog>
  );
}
