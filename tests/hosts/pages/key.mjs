// A key's page: what is done there, held against the edge at every step.
import { visit } from "./browser.mjs";

const { EDGE, ID, RAW, PAGE, KEY } = process.env;

/** A call of the REST API, below the keys'. */
async function api(path, body) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const response = await fetch(`${PAGE}/api/v1/api-keys${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** What the edge answers to a raw key. */
async function at(edge, raw) {
  const response = await fetch(`${EDGE}${edge}`, { headers: { authorization: `Bearer ${raw}` } });
  await response.arrayBuffer();
  return response.status;
}

/** Until it does, for as long as a change may take to reach it. */
async function becomes(edge, raw, status) {
  const until = Date.now() + 10_000;
  while ((await at(edge, raw)) !== status) if (Date.now() > until) throw new Error(`${edge} isn't answered with ${status}`);
}

await visit(async (site, page) => {
  await site.signIn(`/keys/${ID}`);
  await page.getByRole("heading", { name: "billing exporter" }).waitFor();
  await page.getByRole("heading", { name: "By endpoint" }).waitFor();
  await page.locator(".chart canvas").waitFor();
  await site.look("key");
  const endpoints = await page.locator("section", { has: page.getByRole("heading", { name: "By endpoint" }) }).last().locator("li").allTextContents();
  const outcomes = await page.locator("section", { has: page.getByRole("heading", { name: "By outcome" }) }).last().locator("li").allTextContents();
  // A moment: how long ago, and when exactly on hover.
  const created = page.locator(".figures > div", { hasText: "Created" }).locator("time");
  const moment = [await created.textContent(), await created.getAttribute("title")];
  const tokens = await page.getByRole("table", { name: "Tokens issued from it" }).textContent();

  // An edit is shown as a difference before it is made.
  await becomes("/v1/search", RAW, 200);
  await page.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("RAG Search").uncheck();
  await dialog.getByLabel("Document Upload").check();
  // Tried out before it is saved: what is still true at the edge, and what will be.
  await dialog.getByLabel("Path").fill("/v1/search");
  await dialog.getByLabel("What the route asks for").selectOption("rag:search");
  const tried = {
    before: await dialog.locator("[data-before]").getAttribute("data-before"),
    after: await dialog.locator("output[data-verdict]").getAttribute("data-verdict"),
    edge: await at("/v1/search", RAW),
  };
  await site.look("key-edit-tried");
  await dialog.getByRole("button", { name: "See what will change" }).click();
  const removed = await dialog.locator("del").allTextContents();
  const added = await dialog.locator("ins").allTextContents();
  await site.look("key-edit");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("billing exporter is changed.").waitFor();
  await becomes("/v1/search", RAW, 403);

  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByText("billing exporter is suspended.").waitFor();
  await becomes("/v1/me", RAW, 401);
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("billing exporter can be used again.").waitFor();
  await becomes("/v1/me", RAW, 200);

  // Renewed: the same raw key, for another time.
  await page.getByRole("button", { name: "Renew" }).click();
  await dialog.getByText("A year").click();
  await dialog.getByRole("button", { name: "Renew" }).click();
  await page.getByText("billing exporter is renewed.").waitFor();
  await page.locator(".figures > div", { hasText: "Expires" }).getByText(/in 1 year|in 12 months|in a year|in 36\d days/).waitFor();

  // Rotated: both hold, until the old one is ended here.
  await page.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByText("A week").click();
  await dialog.getByRole("button", { name: "Rotate" }).click();
  const fresh = await dialog.getByLabel("The new key").inputValue();
  await dialog.getByLabel("It is kept in a safe place.").check();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByText("A rotation is on its way").waitFor();
  await becomes("/v1/me", fresh, 200);
  const both = [await at("/v1/me", RAW), await at("/v1/me", fresh)];
  // The new one is used more: so the page says, once the edge has reported it. How often the old one was, what came before has decided.
  const use = page.locator("[data-cut-over] li");
  const until = Date.now() + 20_000;
  let cutOver = [];
  while (!(cutOver.length === 2 && cutOver[1] > cutOver[0] && cutOver[0] > 0)) {
    if (Date.now() > until) throw new Error(`the use of both isn't shown: ${cutOver}`);
    for (let n = 0; n < 8; n++) await at("/v1/me", fresh);
    await page.reload();
    await page.getByText("A rotation is on its way").waitFor();
    await use.first().waitFor();
    cutOver = await use.evaluateAll((lines) => lines.map((line) => Number(line.querySelector("span:nth-child(2)").textContent)));
  }
  const stillUsed = await page.getByText("Somebody still presents the old one.").isVisible();
  await site.look("key-rotating");
  // Not by one click: what is still presented is ended by the key's name alone.
  await page.getByRole("button", { name: "Finish: end the old one now" }).click();
  const ends = dialog.getByRole("button", { name: "End the old one" });
  const blind = await ends.isEnabled();
  await site.look("key-finish");
  await dialog.getByLabel("Type billing exporter to go on").fill("billing exporter");
  await ends.click();
  await page.getByText("The old raw key has ended.").waitFor();
  await becomes("/v1/me", RAW, 401);
  const finished = await at("/v1/me", fresh);

  // Of another one the old raw key is used by nobody.
  const other = await api("", { name: "quiet one", require_tls: false });
  const { new_raw_key: next } = await api(`/${other.api_key.id}/rotate`, { overlap_seconds: 3600 });
  await becomes("/v1/me", next, 200);
  const cut = page.locator("[data-cut-over]");
  const said = page.getByText("The old one is quiet: it can be ended.");
  for (const until = Date.now() + 20_000; ; ) {
    await site.go(`/keys/${other.api_key.id}`);
    await cut.waitFor();
    if (await said.count()) break;
    if (Date.now() > until) throw new Error("it isn't said that the old raw key is quiet");
  }
  const quiet = await cut.getAttribute("data-cut-over");
  // The list has a small line of what each was used for.
  await site.go("/keys?search=billing");
  const line = page.getByRole("row", { name: /billing exporter/ }).getByRole("img", { name: /^[1-9]\d* requests in 14 days$/ });
  await line.waitFor();
  await site.go(`/keys/${ID}`);
  await page.getByRole("heading", { name: "billing exporter" }).waitFor();

  // Ended by its name alone.
  await page.getByRole("button", { name: "Revoke" }).click();
  const sure = dialog.getByRole("button", { name: "Revoke for ever" });
  await dialog.getByLabel("Type billing exporter to go on").fill("billing");
  const early = await sure.isEnabled();
  await dialog.getByLabel("Type billing exporter to go on").fill("billing exporter");
  await dialog.getByLabel("Reason").fill("no longer needed");
  await sure.click();
  await page.getByText("billing exporter is revoked.").waitFor();
  await becomes("/v1/me", fresh, 401);
  await page.getByText("no longer needed").first().waitFor();
  await page.reload();
  const trail = page.getByRole("table", { name: "What was done to it" });
  await trail.waitFor();
  const deeds = await trail.locator("td.lead").allTextContents();

  // What the origin refuses is shown as it was: somebody else has revoked it meanwhile.
  const third = await api("", { name: "third one" });
  await site.go(`/keys/${third.api_key.id}`);
  const suspend = page.getByRole("button", { name: "Suspend" });
  await suspend.waitFor();
  await api("/bulk/revoke", { filter: { search: "third one" }, reason: "elsewhere" });
  site.expected.push([409, "/suspend"]);
  await suspend.click();
  await page.getByText("it is as it was.").waitFor();
  await suspend.waitFor();

  site.expected.push([404, "/api/v1/api-keys/"]);
  await site.go("/keys/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11");
  await page.getByRole("heading", { name: "There is no such key" }).waitFor();
  return { endpoints, outcomes, moment, quiet, tokens, tried, removed, added, both, cutOver, stillUsed, blind, finished, early, deeds };
});
