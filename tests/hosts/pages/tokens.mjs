// A key exchanged for less by presets, what is left beside what the key permits, and any token held against its key.
import { visit } from "./browser.mjs";

const { RAW, PAGE } = process.env;

await visit(async (site, page) => {
  await site.signIn("/tokens");
  await page.getByLabel("API key").fill(RAW);
  const sides = page.getByRole("table", { name: "What the key permits and what remains" });
  await sides.waitFor();
  const row = async (title) => (await sides.getByRole("row", { name: title }).locator("td").allTextContents()).map((text) => text.trim());
  const whole = await row("Endpoints");
  await page.getByText("Read only", { exact: true }).click();
  const reads = await row("Endpoints");
  // Beyond what the key permits there is nothing to exchange.
  await page.getByText("These endpoints", { exact: true }).click();
  await page.getByLabel("Endpoints", { exact: true }).fill("GET /v1/secret");
  await sides.getByText("more than the key permits").waitFor();
  const beyond = await page.getByRole("button", { name: "Exchange", exact: true }).isDisabled();
  await page.getByText("Read only", { exact: true }).click();
  await page.getByText("One minute", { exact: true }).click();
  await page.getByLabel("rag:search").uncheck();
  const line = await page.locator("pre").textContent();
  await site.look("tokens");
  await page.getByRole("button", { name: "Exchange", exact: true }).click();
  const token = (await page.locator("[data-token]").textContent()).trim();
  await page.getByRole("button", { name: "Copy as curl" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  await site.look("tokens-made");

  const before = site.requests.length;
  await page.getByText("Look at a token", { exact: true }).click();
  await page.locator('.verdict[data-code="ok"]').waitFor();
  const held = { endpoints: await row("Endpoints"), can: await row("Can") };
  await site.look("tokens-held");
  await page.getByLabel("Token", { exact: true }).fill(`${token.slice(0, -4)}AAAA`);
  await page.locator('.verdict[data-code="signature_invalid"]').waitFor();
  const asked = site.requests.slice(before);
  return {
    whole, reads, beyond, line, token, held, copied: copied.includes(token),
    leaked: asked.filter((request) => request.includes(token.split(".")[2].slice(0, 40)) || request.includes(RAW.slice(60, 100))),
    asked: asked.map((request) => request.slice("GET ".length + PAGE.length).trim()),
  };
});
