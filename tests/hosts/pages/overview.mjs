// The overview: what was counted, what is decided while one looks, and why.
import { visit } from "./browser.mjs";

const { EDGE, RAW, PAGE } = process.env;

/** A request through the edge; its status. */
async function request(path, from) {
  const response = await fetch(EDGE + path, { headers: { authorization: `Bearer ${RAW}`, "cf-connecting-ip": from } });
  await response.arrayBuffer();
  return response.status;
}

await visit(async (site, page) => {
  await site.signIn("/overview");
  await page.locator(".chart canvas").waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  const figure = (name) => page.locator(".figures > div", { has: page.getByText(name, { exact: true }) }).locator("dd").textContent();
  const figures = { refused: await figure("Refused"), keys: await figure("Keys in use") };
  const list = (name) => page.locator("section", { has: page.getByRole("heading", { name }) }).last().locator("li").allTextContents();
  const reasons = await list("Refusals by reason");
  const endpoints = await list("Busiest endpoints");
  await page.getByRole("link", { name: "ends soon" }).waitFor();
  await page.getByRole("listitem").filter({ hasText: "shop" }).first().waitFor();
  const busiest = await list("Busiest keys just now");
  const state = await page.locator("#freshness + dl").textContent();

  // What the edge decides now stands here without a further question.
  const asked = site.requests.length;
  const statuses = [await request("/v1/me?secret=x", "192.0.2.1"), await request("/v1/search", "192.0.2.2")];
  const table = page.getByRole("table", { name: "Decisions" });
  const row = (from) => table.getByRole("row").filter({ hasText: from });
  await row("192.0.2.1").waitFor();
  await row("192.0.2.2").waitFor();
  const told = site.requests.slice(asked).filter((sent) => sent.includes("/api/v1/decisions?")).every((sent) => sent.includes("limit=1&") || sent.includes("limit=500") || sent.endsWith("limit=1 "));
  const rows = [await row("192.0.2.1").textContent(), await row("192.0.2.2").textContent()];
  await site.look("overview");

  await row("192.0.2.2").getByRole("button").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("list", { name: "Rules" }).waitFor();
  const broken = await dialog.getByRole("listitem").filter({ hasText: "broken" }).allTextContents();
  const notice = await dialog.locator(".notice").textContent();
  await site.look("overview-decision");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  // Only the refused ones, also of those to come; and none while it pauses.
  await page.getByText("Refused", { exact: true }).last().click();
  await page.getByText("live", { exact: true }).waitFor();
  await row("192.0.2.1").waitFor({ state: "detached" });
  await request("/v1/me", "192.0.2.3");
  await request("/nowhere", "192.0.2.4");
  await row("192.0.2.4").waitFor();
  const passed = await row("192.0.2.3").count();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("paused", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("live", { exact: true }).waitFor();

  await page.getByText("7 days", { exact: true }).click();
  await page.waitForURL(`${PAGE}/overview?days=7`);
  return { figures, reasons, endpoints, busiest, state, statuses, told, rows, broken, notice, passed };
});
