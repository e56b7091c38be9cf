// Opens the API reference on a phone's screen, in light and dark: `node reference.mjs`, told by the environment where
// things are. Prints as JSON what it asked the network for, what a link has opened, how wide it is with everything open,
// and the browser's complaints.
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE, SHOTS } = process.env;
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const faults = [];
const requests = [];
const said = {};
try {
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: { width: 360, height: 800 }, colorScheme });
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(`${PAGE}/docs`);
    // As a reader would: the operation, and by its link what it takes.
    await page.click("summary:has-text('Creates a key')");
    await page.click("details[open] >> a:text-is('CreateKey')");
    await page.waitForFunction(() => document.querySelectorAll("details[open]").length === 2);
    await page.screenshot({ path: `${SHOTS}/reference-${colorScheme}.png` });
    const opened = await page.$eval("details[open]:not(.operation) > div", (found) => found.id);
    await page.$$eval("details", (found) => found.forEach((one) => (one.open = true)));
    said[colorScheme] = await page.evaluate((opened) => ({
      opened,
      width: document.documentElement.scrollWidth,
      operations: document.querySelectorAll("details.operation").length,
      paper: getComputedStyle(document.documentElement).backgroundColor,
    }), opened);
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ said, faults, requests: [...new Set(requests)] }));
