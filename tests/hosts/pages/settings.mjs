// The deployment as its settings page shows it, and what a key of user scope is shown of operators' pages.
import { visit } from "./browser.mjs";

const { WEAK } = process.env;

await visit(async (site, page) => {
  const navigation = async () => (await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents()).sort();
  await site.signIn("/settings");
  const server = await page.getByRole("table", { name: "What the server was started with" }).textContent();
  // The edge that follows, with all that the origin has told.
  const edges = page.getByRole("table", { name: "Edges that follow" });
  await edges.getByText("follows", { exact: true }).waitFor();
  const lines = await page.getByLabel("Variables of an edge").textContent();
  await site.look("settings");
  const operator = await navigation();
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  await site.signIn("/settings", WEAK);
  await page.getByText("a user's").waitFor();
  const user = await navigation();
  const shown = await page.getByRole("table").count();
  const switches = await page.getByRole("button", { name: /^Tenant:/ }).count();
  // At its address, the page says what it would need, and asks the origin for nothing.
  await site.go("/signing-keys");
  await page.getByRole("heading", { name: "Your key isn't for this page" }).waitFor();
  const refused = await page.getByRole("main").textContent();
  const asked = site.requests.filter((request) => request.includes("/api/v1/signing-keys")).length;
  // Another tenant in an address is the origin's to refuse.
  site.expected.push([403, "/api/v1/api-keys"]);
  await site.go("/keys?tenant=01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e99");
  await page.getByText("scope_insufficient").first().waitFor();
  await site.look("tenant-refused");
  return { server, lines, shown, operator, user, switches, refused, asked };
});
