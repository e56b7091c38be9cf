// Every page: its address, its name, and the code that is loaded when it is first visited. The navigation, the palette
// and the routes are made of this list. The first segments stand in the origin's `http/pages.rs` too.
import type { ComponentType } from "preact";
import { holds } from "./api/session";
import type { Session } from "./api/types";
import type { IconName } from "./ui/icon";

export interface Page {
  /** As wouter matches it: `/keys/:id`. */
  readonly path: string;
  readonly title: string;
  readonly load: () => Promise<{ default: ComponentType }>;
  /** Its place in the navigation; without one, other pages lead there. */
  readonly icon?: IconName;
  /** The capability without which there is nothing to see. */
  readonly needs?: string;
  /** The least scope: to a key of a lesser one the origin refuses it. */
  readonly scope?: "tenant" | "admin";
  /** Also for those who aren't signed in. */
  readonly open?: true;
}

export const PAGES: readonly Page[] = [
  { path: "/overview", title: "Overview", icon: "overview", needs: "keys:read", load: () => import("./pages/overview") },
  { path: "/keys", title: "Keys", icon: "keys", needs: "keys:read", load: () => import("./pages/keys") },
  { path: "/keys/new", title: "New key", needs: "keys:create", load: () => import("./pages/new-key") },
  { path: "/keys/:id", title: "Key", needs: "keys:read", load: () => import("./pages/key") },
  { path: "/inspect", title: "Inspector", icon: "inspect", open: true, load: () => import("./pages/inspect") },
  { path: "/tokens", title: "Tokens", icon: "token", needs: "keys:read", load: () => import("./pages/tokens") },
  { path: "/audit", title: "Audit", icon: "audit", needs: "audit:read", scope: "tenant", load: () => import("./pages/audit") },
  { path: "/owners", title: "Owners", icon: "person", needs: "tenants:owners", load: () => import("./pages/owners") },
  { path: "/catalogue", title: "Catalogue", icon: "catalogue", needs: "keys:read", load: () => import("./pages/catalogue") },
  { path: "/tenants", title: "Tenants", icon: "tenants", needs: "tenants:read", scope: "tenant", load: () => import("./pages/tenants") },
  { path: "/tenants/:id", title: "Tenant", needs: "tenants:read", scope: "tenant", load: () => import("./pages/tenant") },
  { path: "/routes", title: "Routes", icon: "routes", needs: "keys:read", load: () => import("./pages/routes") },
  { path: "/signing-keys", title: "Signing keys", icon: "signature", needs: "signing:read", scope: "admin", load: () => import("./pages/signing-keys") },
  { path: "/settings", title: "Settings", icon: "settings", load: () => import("./pages/settings") },
];

/** Where those go who name no page. */
export const HOME = "/overview";

const SCOPES = ["user", "tenant", "admin"];

/** What a caller can't read needn't stand in the way; what they can't read is refused by the origin all the same. */
export function visible(page: Page, session: Session | null | undefined): boolean {
  if (page.open) return true;
  if (!session || (page.scope && SCOPES.indexOf(session.scope) < SCOPES.indexOf(page.scope))) return false;
  return !page.needs || holds(session, page.needs);
}

/** Where those go who may not see [`HOME`]: what their key is for, or else the settings, which everybody has. */
export function home(session: Session): string {
  return PAGES.find((page) => !page.open && !page.path.includes(":") && visible(page, session))?.path ?? HOME;
}
