// Tenants, owners and the catalogue: made and changed, and every page acting in another tenant.
import { visit } from "./browser.mjs";

const { PAGE } = process.env;

await visit(async (site, page) => {
  const dialog = page.getByRole("dialog");
  const address = () => page.url().slice(PAGE.length);
  await site.signIn("/tenants");
  await page.getByRole("table", { name: "Tenants" }).waitFor();

  // A tenant with its first key, which is shown once.
  await page.getByRole("button", { name: "New tenant" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Acme Inc.");
  await dialog.getByLabel("Slug").fill("Acme");
  await dialog.getByLabel("Keys begin with").fill("acme");
  await dialog.getByLabel("Live keys").fill("10");
  site.expected.push([422, "/api/v1/tenants"]);
  await dialog.getByRole("button", { name: "Create tenant" }).click();
  await dialog.getByRole("alert").waitFor();
  const wrong = await dialog.getByLabel("Slug").getAttribute("aria-invalid");
  await site.look("tenants-new");
  await dialog.getByLabel("Slug").fill("acme");
  await dialog.getByRole("button", { name: "Create tenant" }).click();
  const first = await dialog.getByLabel("The new key").inputValue();
  await dialog.getByLabel("It is kept in a safe place.").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "Acme Inc." }).waitFor();
  await page.getByText("1 of 10", { exact: true }).waitFor();
  const tenant = address().split("/").at(-1);
  await site.look("tenant");
  await page.getByRole("button", { name: "Edit" }).click();
  await dialog.getByLabel("Live keys").fill("2");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("1 of 2", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Tenants", exact: true }).first().click();
  await page.getByRole("searchbox", { name: "Find tenants" }).fill("acm");
  await site.look("tenants");
  await page.getByRole("link", { name: "Acme Inc." }).click();

  // In it: its keys and no others; the address says so, and takes a colleague there.
  await page.getByRole("button", { name: "Act in it" }).click();
  await page.getByRole("link", { name: "First management key" }).waitFor();
  const there = address();
  const theirs = await page.getByRole("table", { name: "Keys" }).locator("td.lead a").allTextContents();
  await site.look("tenant-keys");
  await page.reload();
  await page.getByRole("link", { name: "First management key" }).waitFor();
  await page.getByRole("link", { name: "New key", exact: true }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("theirs");
  await page.getByRole("button", { name: "Create key" }).click();
  const second = await dialog.getByLabel("The new key").inputValue();
  await dialog.getByLabel("It is kept in a safe place.").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "theirs" }).waitFor();

  // An owner there: made, changed, disabled with all of its keys, and enabled.
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Owners" }).click();
  const owners = page.getByRole("table", { name: "Owners" });
  await owners.waitFor();
  await page.getByRole("button", { name: "New owner" }).click();
  await dialog.getByLabel("Id").fill("build/robot 1");
  await dialog.getByText("Service").click();
  await dialog.getByRole("button", { name: "Create owner" }).click();
  await owners.getByText("build/robot 1").waitFor();
  await page.getByRole("button", { name: "Edit build/robot 1" }).click();
  await dialog.getByLabel("Email").fill("builds@example.com");
  await dialog.getByRole("button", { name: "Save" }).click();
  await owners.getByText("builds@example.com").waitFor();
  await page.getByRole("searchbox", { name: "Find owners" }).fill("BUILDS@");
  await page.waitForURL((url) => url.searchParams.get("search") === "BUILDS@");
  await owners.getByText("acme-admin").waitFor({ state: "detached" });
  await owners.getByText("build/robot 1").waitFor();
  await site.look("owners-found");
  await page.getByRole("searchbox", { name: "Find owners" }).fill("nobody at all");
  await page.getByRole("heading", { name: "No owner is like that" }).waitFor();
  await page.getByRole("searchbox", { name: "Find owners" }).fill("");
  await owners.getByText("acme-admin").waitFor();
  await site.look("owners");
  await page.getByRole("button", { name: "Disable acme-admin" }).click();
  await dialog.getByRole("link", { name: "1", exact: true }).waitFor();
  const disable = dialog.getByRole("button", { name: "Disable the owner" });
  await dialog.getByLabel("Type acme-admin to go on").fill("acme");
  const early = await disable.isEnabled();
  await site.look("owners-disable");
  await dialog.getByLabel("Type acme-admin to go on").fill("acme-admin");
  await disable.click();
  await owners.getByText("disabled", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Keys of acme-admin" }).click();
  await page.getByRole("table", { name: "Keys" }).getByText("suspended").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "Enable acme-admin" }).click();
  await dialog.getByRole("button", { name: "Enable the owner" }).click();
  await page.getByRole("button", { name: "Disable acme-admin" }).waitFor();

  // A capability of the tenant's own.
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Command" }).fill("catalogue");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Add a capability" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("keys:more");
  await dialog.getByLabel("Label").fill("Read invoices");
  await dialog.getByLabel("Category").fill("Billing");
  site.expected.push([422, "/catalog/capabilities"]);
  await dialog.getByRole("button", { name: "Add it" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Name", { exact: true }).fill("invoices:read");
  await dialog.getByRole("button", { name: "Add it" }).click();
  const billing = page.getByRole("region", { name: "Billing" });
  await billing.getByText("invoices:read").waitFor();
  const added = await billing.textContent();
  await site.look("catalogue");

  // Home again, where all that isn't.
  await page.getByRole("button", { name: "Tenant: Acme Inc." }).click();
  await site.look("tenant-switch");
  await dialog.getByRole("button", { name: "Back to your own" }).click();
  await page.waitForURL("**/catalogue");
  await page.getByText("rag:search").first().waitFor();
  const home = await billing.count();
  await page.goBack();
  await billing.getByText("invoices:read").waitFor();
  await page.goForward();
  await page.getByRole("button", { name: "Tenant: Default" }).waitFor();

  await page.getByRole("heading", { name: "Catalogue" }).click();
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keyboard" }).waitFor();
  await site.look("keyboard");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  return { wrong, first, tenant, there, theirs, second, early, added, home };
});
