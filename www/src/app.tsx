// What holds the pages: data, session, shell, and the page that the address names.
import { QueryClientProvider } from "@tanstack/preact-query";
import { useLayoutEffect } from "preact/hooks";
import { Link, Redirect, Route, Router, Switch, useParams } from "wouter-preact";
import { shared, useCache } from "./api/cache";
import { identity, useSession, watchSession } from "./api/session";
import { inTenant, useActing } from "./api/tenant";
import { HOME, home, PAGES, visible, type Page } from "./pages";
import { SignIn } from "./pages/sign-in";
import { Empty, Loading } from "./ui/empty";
import { Fault } from "./ui/fault";
import { Guard } from "./ui/guard";
import { Later } from "./ui/later";
import { Secrets } from "./ui/secret";
import { Shell } from "./ui/shell";
import { Stale } from "./ui/stale";
import { Toasts } from "./ui/toast";

watchSession();

export function App() {
  return (
    <QueryClientProvider client={shared}>
      <Router hrefs={inTenant} aroundNav={(navigate, to, options) => navigate(inTenant(to), options)}>
        <Pages />
      </Router>
      {/* Beside the pages and not in them: a secret outlives its page, and the session. */}
      <Secrets />
      <Toasts />
    </QueryClientProvider>
  );
}

function Pages() {
  const { data: session } = useSession();
  const place = `${identity(session) ?? ""} ${useActing() ?? ""}`;
  const cache = useCache(place);
  return (
    <Shell>
      {/* Who is signed in as another, or acts in another tenant, is elsewhere: nothing that was filled in, selected or read goes along. */}
      <QueryClientProvider client={cache} key={place}>
        <Stale />
        <Switch>
          <Route path="/">
            <Redirect to={HOME} replace />
          </Route>
          {PAGES.map((page) => (
            <Route key={page.path} path={page.path}>
              <Shown page={page} />
            </Route>
          ))}
          <Route>
            <Empty title="There is no such page" action={<Link href={HOME}>To the overview</Link>}>
              The address may be mistyped, or the page may have gone.
            </Empty>
          </Route>
        </Switch>
      </QueryClientProvider>
    </Shell>
  );
}

function Shown({ page }: { page: Page }) {
  const session = useSession();
  // Another key is another page: no dialog on the one before goes along.
  const at = JSON.stringify([page.path, useParams()]);
  // Before the page's own effects: it may know a better title.
  useLayoutEffect(() => void (document.title = `${page.title} · Keyward`), [page]);
  // Also before a page for all: it would begin anew when it's known who looks.
  if (session.isPending) return <Loading />;
  if (!page.open) {
    // One that is known goes on where it can't be asked for.
    if (session.data === undefined) return <Fault cause={session.error} retry={() => void session.refetch()} />;
    // In the page's place and not at an address of its own: who signs in is where they wanted to be.
    if (session.data === null) return <SignIn />;
    if (!visible(page, session.data)) {
      const elsewhere = home(session.data);
      if (page.path === HOME) return <Redirect to={elsewhere} replace />;
      return (
        <Empty title="Your key isn't for this page" action={<Link href={elsewhere}>To what it is for</Link>}>
          It would need the capability <code>{page.needs}</code>{page.scope && <> and the scope {page.scope}, or a wider one</>}.
        </Empty>
      );
    }
  }
  return (
    <Guard key={at}>
      <Later page={page} />
    </Guard>
  );
}
