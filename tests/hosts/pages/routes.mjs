// A route table, read and tried out in the page by the core.
import { visit } from "./browser.mjs";

const { TABLE, REQUESTS } = process.env;

await visit(async (site, page) => {
  await site.signIn("/routes");
  await page.getByText("No entry yet").waitFor();
  await page.getByRole("button", { name: "Begin with an example" }).click();
  await page.getByRole("table", { name: "Entries" }).waitFor();
  const table = page.getByLabel("Route table");
  await table.fill("GET /v1/me -> authenticated\nnonsense");
  await page.getByText("line 2 of the route table").waitFor();
  await site.look("routes-fault");
  await table.fill(TABLE);
  await page.getByRole("table", { name: "Entries" }).waitFor();
  const strange = await page.getByText("in no catalogue").count();
  const before = site.requests.length;
  const verdicts = {};
  for (const request of JSON.parse(REQUESTS)) {
    const [method, path] = request.split(" ");
    await page.getByLabel("Method").selectOption(method);
    await page.getByLabel("Path").fill(path);
    verdicts[request] = await page.locator("output").getAttribute("data-verdict");
  }
  await site.look("routes");
  return { strange, verdicts, sent: site.requests.length - before };
});
