// The trail: filtered in the address, a record in full, and the chain verified in the browser, also one that somebody has changed.
import { visit } from "./browser.mjs";

const { PAGE, ID } = process.env;

await visit(async (site, page) => {
  const address = () => page.url().slice(PAGE.length);
  await site.signIn("/audit");
  const records = page.getByRole("table", { name: "Records" });
  await records.waitFor();
  await site.look("audit");
  await page.getByLabel("Action").selectOption("api_key_suspended");
  await page.waitForURL((url) => url.search.includes("action="));
  await page.getByLabel("Done to key").fill(ID);
  await page.getByLabel("Done to key").blur();
  await page.waitForURL((url) => url.search.includes("key="));
  await page.waitForFunction(() => document.querySelectorAll("table tbody tr").length === 1);
  const filtered = address();
  await records.getByRole("button", { name: /^key suspended/ }).click();
  const dialog = page.getByRole("dialog");
  const detail = await dialog.textContent();
  await site.look("audit-record");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Clear all" }).click();

  const verdict = page.locator("[data-chain]");
  const verify = page.getByRole("button", { name: "Verify the trail" });
  await verify.click();
  await page.locator('[data-chain="holds"]').waitFor();
  const holds = await verdict.textContent();
  await site.look("audit-chain");
  // Somebody who can write to the database renames an owner in a record.
  await page.route("**/api/v1/audit/export*", async (route) => {
    const response = await route.fetch();
    const text = (await response.text()).replace('"action":"api_key_suspended"', '"action":"api_key_resumed"');
    await route.fulfill({ response, body: text });
  });
  await verify.click();
  await page.locator('[data-chain="broken"]').waitFor();
  const broken = await verdict.textContent();
  return { filtered, detail, holds, broken };
});
