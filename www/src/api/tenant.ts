// The tenant in which one acts: one's own, or another that a key of admin scope names. It stands in the address of every
// page (`?tenant=…`), so that a link shows a colleague the same, and two tabs can be in two tenants.
import { useSearch } from "wouter-preact";
import { navigate } from "wouter-preact/use-browser-location";

const NAME = "tenant";
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** What is a tenant's at the origin. All else is the deployment's, and has no such parameter. */
const OF_A_TENANT = /^\/(api\/v1\/(api-keys|audit|decisions|events|owners|policies)|oauth\/introspect)(\/|\?|$)/;

/** Its id; `undefined`: one's own. */
export function acting(search: string = location.search): string | undefined {
  const id = new URLSearchParams(search).get(NAME);
  return id !== null && isTenant(id) ? id : undefined;
}

/** Whether a text is shaped like a tenant's id. */
export function isTenant(text: string): boolean {
  return ID.test(text);
}

/** As {@link acting}; draws again when that changes. */
export function useActing(): string | undefined {
  return acting(useSearch());
}

/** A page's address, in the tenant in which one is. */
export function inTenant(page: string): string {
  const tenant = acting();
  if (tenant === undefined) return page;
  const [path = "", search] = page.split("?");
  const params = new URLSearchParams(search);
  if (!params.has(NAME)) params.set(NAME, tenant);
  return `${path}?${params}`;
}

/** Goes over to another tenant, or home: to the list of what is shown, as the thing itself is the other one's. */
export function actIn(tenant: string | undefined, page = `/${location.pathname.split("/")[1] ?? ""}`): void {
  navigate(tenant === undefined ? page : `${page}?${NAME}=${tenant}`);
}

/** What a request to the origin has to name. */
export function named(path: string): { tenant?: string } {
  const tenant = OF_A_TENANT.test(path) ? acting() : undefined;
  return tenant === undefined ? {} : { tenant };
}
