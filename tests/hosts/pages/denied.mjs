// "Why was this denied?": requests with a customer's key, tried in the page against the key's policy in force.
import { visit } from "./browser.mjs";

const { RAW } = process.env;
const CASES = JSON.parse(process.env.CASES);

await visit(async (site, page) => {
  const carried = [];
  page.on("request", (request) => carried.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`));
  await site.signIn("/keys");
  await site.go("/inspect");
  await page.getByLabel("API key or token").fill(RAW);
  // Its terms were changed: what they are is told to those who may see the key.
  await page.locator('.verdict[data-code="amendment_unavailable"]').waitFor();
  await page.getByRole("button", { name: "Take its policy" }).click();
  await page.locator('.verdict[data-code="ok"]').waitFor();
  const simulation = page.getByRole("region", { name: "Why was this denied?" });
  const decisions = [];
  for (const { method, path, requirement, domain } of CASES) {
    await simulation.getByLabel("Method").selectOption(method);
    await simulation.getByLabel("Path").fill(path);
    await simulation.getByLabel("What the route asks for").fill(requirement ?? "");
    await simulation.getByLabel("From page of").fill(domain ?? "");
    const decides = simulation.locator("li", { hasText: "decides" });
    decisions.push({
      code: await simulation.locator("[data-decision]").getAttribute("data-decision"),
      rule: (await decides.count()) > 0 ? await decides.first().getAttribute("data-rule") : null,
      by: (await decides.locator("code").count()) > 0 ? await decides.locator("code").first().textContent() : null,
    });
  }
  await site.look("denied");
  return { decisions, leaked: carried.filter((request) => request.includes(RAW.slice(60, 100))) };
});
