// The list: searched, filtered, ordered and paged by its address; many keys changed at once.
import { visit } from "./browser.mjs";

const { PAGE } = process.env;

await visit(async (site, page) => {
  const table = page.getByRole("table", { name: "Keys" });
  const names = () => table.locator("td.lead a").allTextContents();
  const settled = (address) => page.waitForFunction(
    (wanted) => location.pathname + location.search === wanted && document.querySelector("table:not([aria-busy=true])"), address);
  const address = () => page.url().slice(PAGE.length);
  await site.signIn("/keys");
  await table.waitFor();
  await site.look("keys");

  // `/` goes to the search, whose text goes to the address.
  await page.keyboard.press("/");
  await page.keyboard.type("worker");
  await settled("/keys?search=worker");
  await page.getByText("50 keys on this page").waitFor();
  await page.getByRole("button", { name: "Name" }).click();
  await settled("/keys?search=worker&sort=name&order=asc");
  await page.getByText("50 keys on this page").waitFor();
  const first = await names();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByText("10 keys on this page").waitFor();
  const second = await names();
  await page.reload();
  await page.getByText("10 keys on this page").waitFor();
  const again = await names();
  await page.goBack();
  await page.getByText("50 keys on this page").waitFor();
  const back = await names();

  // A selection.
  await site.go("/keys?search=billing");
  await table.waitFor();
  await page.getByLabel("Select billing exporter").check();
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend keys" }).click();
  await page.getByText("1 key suspended.").waitFor();
  await table.getByText("suspended").waitFor();
  await page.getByLabel("Select billing exporter").check();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume keys" }).click();
  await page.getByText("1 key resumed.").waitFor();
  await table.getByText("active").waitFor();
  await page.getByLabel("Select billing exporter").check();
  await page.getByRole("button", { name: "Reassign" }).click();
  await page.getByRole("dialog").getByLabel("New owner").fill("team-payments");
  await page.getByRole("dialog").getByRole("button", { name: "Reassign keys" }).click();
  await page.getByText("1 key reassigned.").waitFor();
  await table.getByText("team-payments").waitFor();

  // All that the filter has, also those on other pages.
  await site.go("/keys?search=worker&owner_id=ann");
  await table.waitFor();
  const anns = (await names()).length;
  await site.go("/keys?search=worker");
  await table.waitFor();
  await page.getByLabel("Select all on this page").check();
  await page.getByRole("button", { name: "Select all that match" }).click();
  await page.getByRole("button", { name: "Revoke" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("60 keys match the filter.").waitFor();
  await site.look("keys-bulk");
  const sure = dialog.getByRole("button", { name: "Revoke keys" });
  await dialog.getByLabel("Reason").fill("spring cleaning");
  await dialog.getByLabel("Type 60 to go on").fill("6");
  const early = await sure.isEnabled();
  await dialog.getByLabel("Type 60 to go on").fill("60");
  await sure.click();
  await page.getByText("60 keys revoked.").waitFor();

  await site.go("/keys?status=active&search=worker");
  await page.getByRole("heading", { name: "No key is like that" }).waitFor();
  await site.look("keys-none");
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await table.waitFor();
  return { first, second, again, back, anns, early, cleared: address() };
});
