// What can't be had twice is there until somebody is done with it: a secret that is shown once, and what was filled in.
import { visit } from "./browser.mjs";

const { PAGE, KEY } = process.env;

await visit(async (site, page) => {
  await page.clock.install();
  /** A minute in which the origin doesn't say who is signed in. */
  const hiccup = async (answer) => {
    let asked = 0;
    await page.route("**/session", (route) => (asked++, route.fulfill(answer)));
    await page.clock.runFor(61_000);
    // It is asked again, and again.
    while (asked < 3) await page.clock.runFor(1000);
    await page.getByText("What is shown may be old").waitFor();
    await page.unroute("**/session");
  };
  site.expected.push([502, "/session"], [503, "/session"], [401, "/api/v1"], [401, "/session"]);
  await site.signIn("/keys/new");
  const name = page.getByLabel("Name", { exact: true });
  await name.fill("half filled");
  await hiccup({ status: 502 });
  const whileAway = await name.inputValue();
  // A request that was under way when the clock ran may have run out of time as well, and offer the same.
  await page.getByRole("status").filter({ hasText: "What is shown may be old" }).getByRole("button", { name: "Try again" }).click();
  await page.getByText("What is shown may be old").waitFor({ state: "detached" });
  const since = await name.inputValue();

  // The session ends elsewhere: who signs in again goes on.
  const end = () =>
    page.evaluate(async () => {
      const { csrf } = await (await fetch("/session")).json();
      await fetch("/session", { method: "DELETE", headers: { "X-Keyward-CSRF": csrf } });
    });
  const again = async () => {
    await page.getByText("Your session has ended").waitFor();
    await page.getByLabel("API key").fill(KEY);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await end();
  await page.getByRole("button", { name: "Create key" }).click();
  await again();
  await name.waitFor();
  const lapsed = await name.inputValue();

  await page.getByRole("button", { name: "Create key" }).click();
  const secret = page.getByLabel("The new key");
  const raw = await secret.inputValue();
  const there = {};
  const still = async (what) => (there[what] = (await secret.isVisible()) && (await secret.inputValue()) === raw);
  for (let press = 0; press < 4; press++) await page.keyboard.press("Escape");
  await still("Escape");
  await page.keyboard.press("Control+k");
  await still("Ctrl K");
  await page.mouse.click(5, 5);
  await still("a click beside it");
  await hiccup({ status: 503, contentType: "application/problem+json", body: '{"title":"Busy","code":"busy","status":503}' });
  await still("an outage");
  const asked = page.waitForEvent("dialog");
  const reload = page.reload().catch(() => {});
  const question = await asked;
  await question.dismiss();
  await reload;
  await still("a reload");
  await site.look("secret");
  await end();
  await page.clock.runFor(61_000);
  await page.getByText("Your session has ended").waitFor();
  await still("its session's end");
  await page.getByLabel("It is kept in a safe place.").check();
  await page.getByRole("button", { name: "Done" }).click();
  await again();
  await page.getByRole("button", { name: /^Signed in as/ }).waitFor();

  // The way back, too, leaves it where it is.
  await site.go("/keys");
  await page.getByRole("link", { name: "New key" }).click();
  await name.fill("another one");
  await page.getByRole("button", { name: "Create key" }).click();
  await secret.waitFor();
  await page.goBack();
  await page.waitForURL("**/keys");
  there["the way back"] = await secret.isVisible();
  await page.getByLabel("It is kept in a safe place.").check();
  await page.getByRole("button", { name: "Done" }).click();

  // A text that is selected to beyond the edge of its dialog, or a slip beside it, doesn't cost what was filled in.
  await page.getByRole("link", { name: "another one" }).click();
  await page.getByRole("button", { name: "Edit" }).click();
  const dialog = page.getByRole("dialog");
  const [field, frame] = [await dialog.getByLabel("Name", { exact: true }).boundingBox(), await dialog.boundingBox()];
  await page.mouse.move(field.x + 20, field.y + 10);
  await page.mouse.down();
  await page.mouse.move(frame.x - 20, field.y + 10, { steps: 4 });
  await page.mouse.up();
  await dialog.getByLabel("Description").fill("what it is for");
  await page.mouse.click(frame.x - 20, field.y + 10);
  const described = await dialog.getByLabel("Description").inputValue();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  return { whileAway, since, lapsed, there, question: question.type(), described };
});
