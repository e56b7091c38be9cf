// One browser, two tabs, and keys of two tenants: what one tab does with the session, the other one knows.
import { visit } from "./browser.mjs";

const { PAGE, KEY, THEIRS } = process.env;

await visit(async (site, page) => {
  /** Signs out and in again in a tab. */
  const turn = async (tab, key) => {
    await tab.getByRole("button", { name: /^Signed in as/ }).click();
    await tab.getByRole("button", { name: "Sign out" }).click();
    await tab.getByLabel("API key").fill(key);
    await tab.getByRole("button", { name: "Sign in" }).click();
    await tab.getByRole("table", { name: "Keys" }).waitFor();
  };
  await site.signIn("/keys");
  await page.getByRole("link", { name: "ours" }).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${PAGE}/keys`);
  await other.getByRole("link", { name: "ours" }).waitFor();

  // Whatever is drawn in between, one tenant's keys never stand under the other one's name.
  await page.evaluate(() => {
    globalThis.mixed = [];
    const look = () => {
      const [name, list] = [document.querySelector("#account")?.textContent ?? "", document.querySelector("main").textContent];
      if (name.includes("Acme") ? list.includes("ours") : list.includes("theirs")) globalThis.mixed.push([name, list]);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await turn(other, THEIRS);
  await page.getByRole("link", { name: "theirs" }).waitFor();
  const shown = { mixed: await page.evaluate(() => globalThis.mixed), ours: await page.getByRole("link", { name: "ours" }).count() };
  const tenant = await page.locator("#account dd").nth(1).textContent();

  // Signed in again where no tab hears of it: a change goes through all the same.
  await page.evaluate((key) => fetch("/session", { method: "POST", headers: { authorization: `Bearer ${key}` } }), THEIRS);
  await page.getByRole("link", { name: "theirs" }).click();
  site.expected.push([403, "/suspend"]);
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByText("theirs is suspended.").waitFor();

  // A sign-out that the origin doesn't hear of isn't said to be one.
  await page.route("**/session", (route) => (route.request().method() === "DELETE" ? route.fulfill({ status: 502 }) : route.continue()));
  site.expected.push([502, "/session"]);
  const leave = async () => {
    await page.getByRole("button", { name: /^Signed in as/ }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
  };
  await leave();
  await page.getByText("You may still be signed in").waitFor();
  const stays = await page.getByRole("heading", { name: "theirs" }).isVisible();
  await page.unroute("**/session");
  await page.keyboard.press("Escape");
  await leave();
  for (const tab of [page, other]) await tab.getByRole("heading", { name: "Sign in" }).waitFor();
  return { shown, tenant, stays };
});
