// What stands around every page: the bar, the navigation, the palette, and the keys that work everywhere.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useSession, useSignOut } from "../api/session";
import type { Session } from "../api/types";
import { HOME, PAGES, visible } from "../pages";
import { useHotkeys } from "./hotkeys";
import { Icon } from "./icon";
import { KeyboardHelp } from "./keyboard";
import { Palette, useCommands } from "./palette";
import { TenantSwitch } from "./tenant-switch";
import { ThemeSwitch } from "./theme";
import { toast } from "./toast";

export function Shell({ children }: { children: ComponentChildren }) {
  const { data: session } = useSession();
  const [location] = useLocation();
  const [folded, setFolded] = useState(true);
  const [searching, setSearching] = useState(false);
  const [helping, setHelping] = useState(false);
  useHotkeys({ onPalette: () => setSearching(true), onHelp: () => setHelping(true) });
  useCommands(
    useMemo(
      () => [
        { title: "Keyboard help", icon: "system", run: () => setHelping(true), general: true },
        { title: "API reference", icon: "catalogue", run: () => globalThis.location.assign("/docs"), general: true },
      ],
      [],
    ),
  );
  useEffect(() => setFolded(true), [location]);
  const pages = PAGES.filter((page) => page.icon && visible(page, session));
  return (
    <div class="shell">
      <header class="shell-bar">
        <button
          type="button"
          class="button quiet icon shell-fold"
          aria-label="Navigation"
          aria-expanded={!folded}
          aria-controls="navigation"
          onClick={() => setFolded(!folded)}
        >
          <Icon name={folded ? "menu" : "close"} />
        </button>
        <Link class="shell-name" href={HOME}>
          <img src="/icon.svg" alt="" />
          Keyward
        </Link>
        <button type="button" class="button small" onClick={() => setSearching(true)} aria-label="Commands: Ctrl K">
          <Icon name="search" /> <kbd>Ctrl K</kbd>
        </button>
        {session?.scope === "admin" && <TenantSwitch session={session} />}
        <ThemeSwitch />
        {session && <Account session={session} />}
      </header>
      <nav id="navigation" class="shell-nav" aria-label="Pages" data-open={folded ? undefined : true}>
        <ul>
          {pages.map(({ path, title, icon }) => (
            <li key={path}>
              <Link href={path} aria-current={within(location, path) ? "page" : undefined}>
                <Icon name={icon!} />
                {title}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main class="shell-page">{children}</main>
      {helping && <KeyboardHelp onClose={() => setHelping(false)} />}
      {searching && <Palette pages={pages} onClose={() => setSearching(false)} />}
    </div>
  );
}

function within(location: string, path: string): boolean {
  return location === path || location.startsWith(`${path}/`);
}

function Account({ session }: { session: Session }) {
  const signOut = useSignOut(({ title, code }) => toast(`You may still be signed in: ${title} (${code}).`, "bad"));
  useCommands(useMemo(() => [{ title: "Sign out", icon: "out", run: () => signOut.mutate(), general: true }], []));
  return (
    <>
      <button type="button" class="button quiet icon" popovertarget="account" aria-label={`Signed in as ${session.owner}`} title={session.owner}>
        <Icon name="person" />
      </button>
      <div id="account" class="menu stack" popover="auto">
        <dl class="facts">
          <dt>Owner</dt>
          <dd>{session.owner}</dd>
          <dt>Tenant</dt>
          <dd>{session.tenant_name}</dd>
          <dt>Scope</dt>
          <dd>{session.scope}</dd>
        </dl>
        <button type="button" class="button" disabled={signOut.isPending} onClick={() => signOut.mutate()}>
          <Icon name="out" /> Sign out
        </button>
      </div>
    </>
  );
}
