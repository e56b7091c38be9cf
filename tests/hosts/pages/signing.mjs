// The signing keys: a rotation, the drill of a freeze held against the edge, and a root that is kept elsewhere.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { visit } from "./browser.mjs";

const { EDGE, KEYWARD, FOLDER, RAW, ROOT } = process.env;

/** What the edge answers to a raw key. */
async function at(raw) {
  const response = await fetch(`${EDGE}/v1/me`, { headers: { authorization: `Bearer ${raw}` } });
  await response.arrayBuffer();
  return response.status;
}

const keyward = (...args) => execFileSync(KEYWARD, args, { cwd: FOLDER, encoding: "utf8" });

await visit(async (site, page) => {
  await site.signIn("/signing-keys");
  await page.getByRole("heading", { name: "Signing keys", exact: true }).waitFor();
  const role = (name) => page.getByRole("region", { name, exact: true });
  const states = (name) => role(name).locator(".badge").allTextContents();
  const dialog = page.getByRole("dialog");
  await site.look("signing-keys");

  // A rotation: prepared, refused while edges may not know it, forced on purpose.
  await role("Tokens").getByRole("button", { name: "Prepare the next" }).click();
  await dialog.getByRole("button", { name: "Prepare it" }).click();
  await page.getByText("The next key is announced.").waitFor();
  await role("Tokens").getByText("pre-published", { exact: true }).waitFor();
  site.expected.push([409, "/activate"]);
  await role("Tokens").getByRole("button", { name: /^Activate/ }).click();
  const sure = dialog.getByRole("button", { name: "Activate" });
  await sure.click();
  await dialog.getByText("signing_key_unseen").waitFor();
  await site.look("signing-keys-unseen");
  const waited = await sure.isEnabled();
  await dialog.getByLabel(/^Activate it although/).check();
  await sure.click();
  await page.getByText("It signs from now on.").waitFor();
  await role("Tokens").getByText("verify-only", { exact: true }).waitFor();
  const rotated = await states("Tokens");

  // The drill: nothing by accident, and the customer's key goes on to pass.
  const before = await at(RAW);
  await role("API keys").getByRole("button", { name: /^Freeze/ }).click();
  const freeze = dialog.getByRole("button", { name: "Freeze it now" });
  await dialog.getByLabel("Type freeze api-key to go on").fill("freeze");
  const early = await freeze.isEnabled();
  await site.look("signing-keys-freeze");
  await dialog.getByLabel("Type freeze api-key to go on").fill("freeze api-key");
  await freeze.click();
  await page.getByRole("heading", { name: "It is frozen" }).waitFor();
  await dialog.getByRole("button", { name: "Done" }).click();
  await role("API keys").getByText("frozen", { exact: true }).waitFor();
  const frozen = await states("API keys");
  await site.look("signing-keys-frozen");
  const reissue = await role("API keys").getByRole("link", { name: "Rotate each of them" }).getAttribute("href");
  const after = await at(RAW);

  // The root goes to a machine of its own, by files.
  const fresh = keyward("root", "new", "root.key").trim().split(/\s+/).at(-1);
  const root = role("Root");
  await root.getByText("Keep the root on a machine of its own").click();
  await root.getByLabel("Public key of the next root").fill(fresh);
  await root.getByRole("button", { name: "Name the next root" }).click();
  const link = root.getByRole("button", { name: /^Download version/ });
  await link.waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  await file.saveAs(join(FOLDER, "proposal.json"));
  const sign = (...pinned) => keyward("root", "sign", "--key", "root.key", ...pinned, "--yes", "proposal.json");
  writeFileSync(join(FOLDER, "manifest.jwt"), sign("--pinned", ROOT));
  await root.getByLabel("The file").setInputFiles(join(FOLDER, "manifest.jwt"));
  await root.getByText(/^Version \d+, epoch/).waitFor();
  // What is scrolled under the bar looks to axe like something that can't be pressed.
  await page.evaluate(() => scrollTo(0, 0));
  await site.look("signing-keys-root");
  await root.getByRole("button", { name: "Put it into force" }).click();
  await page.getByText("a root elsewhere").waitFor();

  // From now on a turn is a proposal.
  await role("Feed").getByRole("button", { name: "Prepare the next" }).click();
  await dialog.getByRole("button", { name: "Prepare it" }).click();
  await page.getByText("The next manifest is waiting for the root").waitFor();
  const [next] = await Promise.all([page.waitForEvent("download"), link.click()]);
  await next.saveAs(join(FOLDER, "proposal.json"));
  const proposed = await root.getByRole("list", { name: "What it changes" }).textContent();
  await root.getByLabel("Or its text").fill(sign());
  await root.getByRole("button", { name: "Put it into force" }).click();
  await page.getByText("The next manifest is waiting for the root").waitFor({ state: "detached" });
  // The same one again is an old one.
  site.expected.push([409, "/api/v1/manifest"]);
  await root.getByLabel("Or its text").fill(readFileSync(join(FOLDER, "manifest.jwt"), "utf8"));
  await root.getByRole("button", { name: "Put it into force" }).click();
  await page.getByText("manifest_stale").waitFor();
  return { waited, rotated, before, early, frozen, reissue, after, proposed };
});
