// Drives the inspector in a real browser without a session: `node inspector.mjs`, told by the environment where things are (a key
// has no place in a command line). Prints what the page says in each state as JSON, with the modules that it loaded, and
// fails on any error in the browser's console.
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE, KEY, FORGED, TOKEN, SHOTS, V8_FLAGS } = process.env;
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", `--js-flags=${V8_FLAGS ?? ""}`],
});
const faults = [];
const requests = [];
const said = {};
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 1000 } });
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => requests.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ""}`));
  await page.goto(`${PAGE}/inspect`);
  const state = async (name, text, code) => {
    await page.getByLabel("API key or token").fill(text);
    await page.locator(`.verdict[data-code="${code}"]`).waitFor();
    said[name] = {
      verdict: await page.textContent(".verdict"),
      states: Object.fromEntries(await page.$$eval(".checks li", (found) => found.map((item) => [`${item.dataset.source} ${item.dataset.rule}`, item.dataset.tone]))),
      values: await page.$$eval("dd", (found) => found.map((item) => item.textContent)),
    };
    if (SHOTS) {
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: `${SHOTS}/${name}-${colorScheme}.png` });
      }
    }
  };
  await page.waitForSelector("[data-published]");
  await state("genuine", KEY, "ok");
  await state("forged", FORGED, "signature_invalid");
  await state("mistyped", `${KEY.slice(0, -1)}${KEY.endsWith("0") ? "1" : "0"}`, "checksum_mismatch");
  if (TOKEN) {
    await state("token", TOKEN, "ok");
    await page.getByLabel("That is called").fill("https://elsewhere.test");
    await page.locator('.verdict[data-code="wrong_audience"]').waitFor();
  }
} finally {
  await browser.close();
}
const modules = requests.filter((request) => request.includes(".wasm")).map((request) => request.split(" ")[0].split("/").at(-1));
const secrets = [KEY.slice(9), ...(TOKEN ? [TOKEN.split(".")[2]] : [])];
console.log(JSON.stringify({ said, faults, modules, leaked: requests.filter((request) => secrets.some((secret) => request.includes(secret))) }));
