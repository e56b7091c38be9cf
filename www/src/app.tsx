// What holds the pages: data, session, shell, and the page that the address names.
import { QueryClient, QueryClientProvider } from "@tanstack/preact-query";
import { useLayoutEffect } from "preact/hooks";
import { Redirect, Route, Router, Switch } from "wouter-preact";
import { Problem } from "./api/problem";
import { useSession, watchSession } from "./api/session";
import { hashInTenant, inTenant, useActing, useLeaving } from "./api/tenant";
import { HOME, PAGES, type Page } from "./pages";
import { SignIn } from "./pages/sign-in";
import { Empty, Loading } from "./ui/empty";
import { Fault } from "./ui/fault";
import { Guard } from "./ui/guard";
import { Later } from "./ui/later";
import { Shell } from "./ui/shell";
import { Toasts } from "./ui/toast";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal stays one; what fails in passing is tried twice more.
      retry: (failures, cause) => failures < 2 && cause instanceof Problem && cause.passing,
      networkMode: "always",
      queryKeyHashFn: hashInTenant,
    },
    mutations: { networkMode: "always" },
  },
});
watchSession(client);

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Router hrefs={inTenant} aroundNav={(navigate, to, options) => navigate(inTenant(to), options)}>
        <Pages />
      </Router>
      <Toasts />
    </QueryClientProvider>
  );
}

function Pages() {
  const tenant = useActing();
  useLeaving(client, tenant);
  return (
    <Shell>
      {/* Another tenant is another place: nothing that was filled in or selected goes along. */}
      <Switch key={tenant}>
        <Route path="/">
          <Redirect to={HOME} replace />
        </Route>
        {PAGES.map((page) => (
          <Route key={page.path} path={page.path}>
            <Shown page={page} />
          </Route>
        ))}
        <Route>
          <Empty title="There is no such page" action={<a href={HOME}>To the keys</a>}>
            The address may be mistyped, or the page may have gone.
          </Empty>
        </Route>
      </Switch>
    </Shell>
  );
}

function Shown({ page }: { page: Page }) {
  const session = useSession();
  // Before the page's own effects: it may know a better title.
  useLayoutEffect(() => void (document.title = `${page.title} · Keyward`), [page]);
  if (!page.open) {
    if (session.isPending) return <Loading />;
    if (session.isError) return <Fault cause={session.error} retry={() => void session.refetch()} />;
    // In the page's place and not at an address of its own: who signs in is where they wanted to be.
    if (session.data === null) return <SignIn />;
  }
  return (
    <Guard key={page.path}>
      <Later page={page} />
    </Guard>
  );
}
