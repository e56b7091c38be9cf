// What a first visit to the heaviest page brings, as it comes over the wire.
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
try {
  const page = await browser.newPage();
  const weigh = async (path) => {
    await page.goto(`${PAGE}${path}`, { waitUntil: "networkidle" });
    return page.evaluate(() =>
      performance.getEntries()
        .filter((entry) => entry.transferSize !== undefined)
        .map(({ name, transferSize }) => ({ path: new URL(name).pathname, bytes: transferSize })));
  };
  console.log(JSON.stringify({ inspect: await weigh("/inspect") }));
} finally {
  await browser.close();
}
