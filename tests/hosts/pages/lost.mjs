// What failed says so, and what became of a change is asked and not guessed.
import { visit } from "./browser.mjs";

const { PAGE, ID, ORIGIN } = process.env;

await visit(async (site, page) => {
  const dialog = page.getByRole("dialog");
  const busy = { status: 503, contentType: "application/problem+json", body: '{"title":"Busy","code":"busy","status":503}' };
  for (const path of ["/api/v1/", "/metrics", "/session", ".wasm"]) site.expected.push([502, path], [503, path]);
  /** Does it, and loses the answer on the way back. */
  const lose = (part, method) =>
    page.route((url) => url.pathname.includes(part), async (route) => {
      if (route.request().method() !== method) return route.continue();
      await route.fetch();
      await route.fulfill({ status: 502 });
    });
  await page.clock.install();
  await site.signIn(`/keys/${ID}`);
  await page.getByRole("heading", { name: "billing exporter" }).waitFor();

  await lose("/suspend", "POST");
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByText("billing exporter is suspended.").waitFor();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.unrouteAll();
  // Where nobody says what has become of it, that is said.
  await page.route("**/api/v1/api-keys/**", (route) => route.fulfill(busy));
  await page.route("**/resume", (route) => route.fulfill({ status: 502 }));
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("It isn't known whether this was done").waitFor();
  // And that what stands here can't be asked anew.
  const old = page.getByText("What is shown may be old");
  await old.waitFor();
  await site.look("stale");
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await old.waitFor({ state: "detached" });

  await lose(ID, "PATCH");
  await page.getByRole("button", { name: "Edit" }).click();
  await dialog.getByLabel("Description").fill("exports bills");
  await dialog.getByRole("button", { name: "See what will change" }).click();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("billing exporter is changed.").waitFor();
  await page.unrouteAll();

  // A dialog stays with its key.
  await page.getByRole("table", { name: "What was done to it" }).getByRole("link").first().click();
  await page.waitForURL((url) => !url.pathname.endsWith(ID));
  await page.getByRole("button", { name: "Renew" }).click();
  await dialog.waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "billing exporter" }).waitFor();
  const followed = await dialog.count();

  await site.go("/owners");
  await lose("/owners", "POST");
  await page.getByRole("button", { name: "New owner" }).click();
  await dialog.getByLabel("Id").fill("team-billing");
  await dialog.getByRole("button", { name: "Create owner" }).click();
  await page.getByText("team-billing is there.").waitFor();
  await page.unrouteAll();

  // Without the core there is no verdict, and a way to go on.
  await page.route("**/*.wasm", (route) => route.fulfill({ status: 502 }));
  await site.go("/keys/new");
  await page.getByText("The core can't be loaded").waitFor();
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator("output[data-verdict]").waitFor();

  // The tail is live for as long as the origin is heard of, and no longer; and holds no connection where nobody can see it.
  await site.go("/overview");
  const live = page.getByText("live", { exact: true });
  await live.waitFor();
  const see = (hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const closed = page.waitForEvent("requestfailed", (request) => request.url().includes("/decisions/stream"));
  await see(true);
  await closed;
  await see(false);
  await live.waitFor();
  process.kill(Number(ORIGIN), "SIGSTOP");
  try {
    await page.clock.runFor(16_000);
    await live.waitFor({ state: "detached" });
    await page.clock.runFor(20_000);
    await page.getByText("The origin can't be reached").first().waitFor();
    await old.waitFor();
  } finally {
    process.kill(Number(ORIGIN), "SIGCONT");
  }
  await page.clock.runFor(6_000);
  await live.waitFor();
  return { followed };
});
