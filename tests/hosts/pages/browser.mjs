// A real browser for the tests of pages, and what holds on every one of them: nothing in the console, nothing that the
// policy forbids, no request to anybody but the origin, nothing serious for axe, nothing that sticks out on a phone.
//
// A test is a program that calls `visit`; the environment says where things are (a key has no place in a command line).
// What it finds is printed as JSON, for the Rust test that runs it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { CHROMIUM, PAGE, KEY, SHOTS } = process.env;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 360, height: 740 } };

/** Runs the test in a new browser and prints what it returns, beside what went wrong on the pages that it saw. */
export async function visit(test) {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
  try {
    const context = await browser.newContext({ viewport: SIZES.desktop, permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    const site = new Site(page);
    const said = (await test(site, page)) ?? {};
    console.log(JSON.stringify({ said, faults: site.faults, strangers: site.strangers }));
  } finally {
    await browser.close();
  }
}

class Site {
  /** What the browser, the policy, axe or the layout complained of. */
  faults = [];
  /** Requests that went elsewhere. */
  strangers = [];
  /** All requests, with what they carried. */
  requests = [];
  /** Answers that the test asks for and that the browser reports as errors: `[403, "/api/v1/audit"]`. */
  expected = [];
  #page;

  constructor(page) {
    this.#page = page;
    page.on("console", (message) => message.type() === "error" && this.#complain(message));
    page.on("pageerror", (error) => this.faults.push(String(error.stack)));
    page.on("request", (request) => {
      const url = request.url();
      this.requests.push(`${request.method()} ${url} ${request.postData() ?? ""}`);
      if (!url.startsWith(`${PAGE}/`) && !url.startsWith("blob:") && !url.startsWith("data:")) this.strangers.push(url);
    });
    page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
  }

  #complain(message) {
    const url = message.location().url ?? "";
    const expected = this.expected.some(([status, path]) => message.text().includes(`status of ${status}`) && url.includes(path));
    if (!expected) this.faults.push(`${message.text()} ${url}`);
  }

  /** Signs in with a key where the page asks for one. */
  async signIn(path = "/keys", key = KEY) {
    await this.#page.goto(`${PAGE}${path}`);
    await this.#page.getByLabel("API key").fill(key);
    await this.#page.getByRole("button", { name: "Sign in" }).click();
    await this.#page.getByRole("button", { name: /^Signed in as/ }).waitFor();
  }

  /** Goes to a page of the origin. */
  async go(path) {
    await this.#page.goto(`${PAGE}${path}`);
  }

  /** Looks at what is shown in both themes, at a desk and on a phone. */
  async look(name) {
    const page = this.#page;
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        const where = `${name}, ${size}, ${colorScheme}`;
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > viewport.width) this.faults.push(`${where}: ${width} px wide`);
        await page.evaluate(AXE);
        const { violations } = await page.evaluate((values) => axe.run({ runOnly: { type: "tag", values } }), RULES);
        for (const { id, impact, nodes } of violations) {
          if (!["serious", "critical"].includes(impact)) continue;
          this.faults.push(`${where}: ${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
        }
        if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}-${size}-${colorScheme}.png` });
      }
    }
    await page.setViewportSize(SIZES.desktop);
    await page.emulateMedia({ colorScheme: "light" });
  }
}
