// Making a key: tried out before it is saved, shown once, and what was promised of it held against the edge.
import { readFileSync } from "node:fs";
import { visit } from "./browser.mjs";


await visit(async (site, page) => {
  await site.signIn("/keys/new");
  await page.getByRole("heading", { name: "New key" }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill("it's a test");
  await page.getByLabel("RAG Search").check();
  await page.getByLabel("Endpoints", { exact: true }).fill("GET /v1/me\n/v1/search");
  await page.getByRole("spinbutton", { name: "Requests an hour", exact: true }).fill("250");
  await page.getByText("365 days").click();

  const tried = {};
  const verdict = page.locator("output[data-verdict]");
  const tryOut = async (name, method, path, requirement) => {
    await page.getByLabel("Method").selectOption(method);
    await page.getByLabel("Path").fill(path);
    await page.getByLabel("What the route asks for").selectOption(requirement);
    tried[name] = await verdict.getAttribute("data-verdict");
  };
  await verdict.waitFor();
  await tryOut("GET /v1/me", "GET", "/v1/me", "authenticated");
  await tryOut("GET /v1/search", "GET", "/v1/search", "rag:search");
  await tryOut("POST /v1/chat/x", "POST", "/v1/chat/x", "llm:gpt-4");
  await tryOut("GET /v1/me/%2e%2e/x", "GET", "/v1/me/%2e%2e/x", "authenticated");
  await site.look("new-key");

  await page.getByText("curl", { exact: true }).click();
  const curl = await page.getByLabel("As a curl line").textContent();
  await page.getByText("Command", { exact: true }).click();
  const cli = await page.getByLabel("As a command").textContent();

  // A mistake stands at its field.
  site.expected.push([422, "/api/v1/api-keys"]);
  await page.getByLabel("Addresses", { exact: true }).fill("10.0.0.300");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("alert").waitFor();
  const wrong = await page.getByLabel("Addresses", { exact: true }).getAttribute("aria-invalid");
  await page.getByLabel("Addresses", { exact: true }).fill("");
  const before = site.requests.length;
  await page.getByRole("button", { name: "Create key" }).click();

  const dialog = page.getByRole("dialog", { name: "Keep this key now" });
  await dialog.waitFor();
  await site.look("new-key-secret");
  const secret = await dialog.getByLabel("The new key").inputValue();
  await page.keyboard.press("Escape");
  const stays = await dialog.isVisible();
  await dialog.getByRole("button", { name: "Copy" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const [download] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Download" }).click()]);
  const downloaded = readFileSync(await download.path(), "utf8");
  const beside = (await dialog.textContent()).includes("kwd_");
  const early = await dialog.getByRole("button", { name: "Done" }).isEnabled();
  await dialog.getByLabel("It is kept in a safe place.").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "it's a test" }).waitFor();
  const left = await page.evaluate(() => document.documentElement.innerHTML + JSON.stringify({ ...localStorage, ...sessionStorage }));
  const sent = site.requests.slice(before).some((request) => request.includes(secret));
  return { tried, curl, cli, wrong, secret, stays, copied, downloaded, beside, early, left: left.includes(secret), sent, id: page.url().split("/").at(-1) };
});
