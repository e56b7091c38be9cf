// What surrounds the pages: signing in and out, the navigation, the palette, the theme.
import { visit } from "./browser.mjs";

const { AUDITOR, PAGE } = process.env;

await visit(async (site, page) => {
  // Who names no page sees the overview.
  await site.go("/");
  await page.waitForURL("**/overview");
  await site.go("/keys?status=active");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await site.look("sign-in");
  site.expected.push([401, "/session"]);
  await page.getByLabel("API key").fill("kwd_live_nonsense");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  const refused = await page.getByRole("alert").textContent();
  await site.signIn("/keys?status=active");
  const address = page.url().slice(PAGE.length);
  await page.getByRole("link", { name: "Keyward" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);

  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Command" }).fill("inspector");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "What does this key say?" }).waitFor();
  const commanded = page.url().slice(PAGE.length);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Command" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.setViewportSize({ width: 360, height: 740 });
  const navigation = page.getByRole("navigation", { name: "Pages" });
  const folded = await navigation.isHidden();
  await page.getByRole("button", { name: "Navigation" }).click();
  await navigation.getByRole("link", { name: "Keys", exact: true }).click();
  await page.waitForURL("**/keys");
  await page.setViewportSize({ width: 1280, height: 900 });

  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  const light = await ground();
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  const dark = await ground();

  const nowhere = await (await fetch(`${PAGE}/nothing-here`)).text();
  await site.go("/keys");
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  // An auditor's key leads to the trail, and says at other doors what it would need.
  await site.signIn("/", AUDITOR);
  await page.getByRole("heading", { name: "Audit", exact: true }).waitFor();
  const auditor = page.url().slice(PAGE.length);
  await page.getByRole("link", { name: "Keyward" }).click();
  await page.waitForURL("**/audit");
  await site.go("/keys");
  await page.getByRole("heading", { name: "Your key isn't for this page" }).waitFor();
  await page.getByText("keys:read").waitFor();
  await site.look("not-for-this-page");
  await page.getByRole("link", { name: "To what it is for" }).click();
  await page.waitForURL("**/audit");
  return { auditor, refused, address, stored, commanded, folded, themes: light !== dark, nowhere };
});
