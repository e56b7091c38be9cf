// Drives the page in a real browser: `node page.mjs`, told by the environment where things are (a key has no place in
// a command line). Prints what the page says in each state as JSON, with the modules that it loaded, and fails on any
// error in the browser's console.
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE, KEY, FORGED, SHOTS, V8_FLAGS } = process.env;
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
  page.on("request", (request) => requests.push(`${request.url()} ${request.postData() ?? ""}`));
  await page.goto(`${PAGE}/inspect`);
  const state = async (name, text) => {
    const before = await page.textContent(".verdict");
    await page.getByLabel("API key").fill(text);
    await page.waitForFunction((old) => ![old, ""].includes(document.querySelector(".verdict").textContent), before);
    said[name] = {
      verdict: await page.textContent(".verdict"),
      states: await page.$$eval(".checks li", (found) => found.map((item) => item.dataset.tone)),
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
  await state("genuine", KEY);
  await state("forged", FORGED);
  await state("mistyped", `${KEY.slice(0, -1)}${KEY.endsWith("0") ? "1" : "0"}`);
} finally {
  await browser.close();
}
const modules = requests.filter((request) => request.includes(".wasm")).map((request) => request.trim().split("/").at(-1));
console.log(JSON.stringify({ said, faults, modules, leaked: requests.filter((request) => request.includes(KEY.slice(9))) }));
