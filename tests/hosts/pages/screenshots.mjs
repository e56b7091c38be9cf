// Pictures of every page in both themes, at a desk and on a phone, of a deployment as it might be: for the documentation,
// and for looking at. WebP, which the browser itself makes of what it shows.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { seed } from "./seed.mjs";

const { CHROMIUM, PAGE, EDGE, KEY, EDGE_KEY, OUT } = process.env;
const SIZES = { desktop: { width: 1280, height: 860 }, phone: { width: 360, height: 740 } };
const QUALITY = 0.82;

const seeded = await seed({ page: PAGE, key: KEY, edge: EDGE_KEY, through: EDGE });
mkdirSync(OUT, { recursive: true });
for (const file of readdirSync(OUT)) rmSync(`${OUT}/${file}`);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] });
try {
  const context = await browser.newContext({ viewport: SIZES.desktop, colorScheme: "light" });
  const page = await context.newPage();
  const painter = await context.newPage();
  const shoot = async (name, before = () => scrollTo(0, 0)) => {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(before);
        // Charts are drawn anew for another size and theme: two frames later they are.
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 250))));
        writeFileSync(`${OUT}/${name}-${size}-${colorScheme}.webp`, await webp(painter, await page.screenshot()));
      }
    }
    await page.setViewportSize(SIZES.desktop);
    await page.emulateMedia({ colorScheme: "light" });
  };
  const settled = async () => {
    await page.locator("h1, .page").first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".loading, [aria-busy=true]"));
  };

  await page.goto(`${PAGE}/keys`);
  await page.getByLabel("API key").waitFor();
  await shoot("sign-in");
  await page.getByLabel("API key").fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: /^Signed in as/ }).waitFor();

  // What the navigation leads to.
  const paths = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  for (const path of paths) {
    await page.goto(PAGE + path);
    await settled();
    if (path === "/inspect") {
      await page.getByRole("textbox").first().fill(seeded.made[3].raw_key);
      await page.getByText("Signature").first().waitFor();
    }
    if (path === "/tokens") {
      await page.getByLabel("API key").fill(seeded.made[3].raw_key);
      await page.getByRole("table", { name: "What the key permits and what remains" }).waitFor();
      await page.getByText("Read only", { exact: true }).click();
    }
    if (path === "/routes") await page.getByRole("button", { name: "Begin with an example" }).click();
    await shoot(path.slice(1));
  }

  await page.goto(`${PAGE}/tenants`);
  await settled();
  await page.getByRole("link", { name: "Acme", exact: true }).click();
  await page.getByRole("heading", { name: "Acme", exact: true }).waitFor();
  await settled();
  await shoot("tenant");

  await page.goto(`${PAGE}/signing-keys`);
  await settled();
  await page.getByRole("button", { name: /^Freeze/ }).first().click();
  await shoot("freeze");

  await page.goto(`${PAGE}/keys/new`);
  await settled();
  await page.getByLabel("Name", { exact: true }).fill("weekly digest");
  await page.getByLabel("RAG Search").check();
  await page.getByLabel("Endpoints", { exact: true }).fill("POST /v1/search\nGET /v1/documents/**");
  await page.getByLabel("Path").fill("/v1/documents/42");
  await page.locator("output[data-verdict=passed]").waitFor();
  await shoot("new-key");

  await page.goto(`${PAGE}/keys/${seeded.mobile}`);
  await settled();
  await page.locator(".chart canvas").first().waitFor();
  await shoot("key");
  await shoot("key-usage", () => {
    document.querySelector("#usage").closest("section").scrollIntoView();
    scrollBy(0, -64);
  });

  await page.goto(`${PAGE}/keys/${seeded.billing}`);
  await settled();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByLabel("Document Upload").check();
  await page.getByRole("dialog").getByRole("spinbutton", { name: "Requests an hour", exact: true }).fill("5000");
  await page.getByRole("dialog").getByLabel("What the route asks for").selectOption("rag:upload");
  await page.getByRole("button", { name: "See what will change" }).click();
  await shoot("key-edit");

  await page.goto(`${PAGE}/keys`);
  await settled();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Command" }).waitFor();
  await shoot("palette");
} finally {
  await browser.close();
}

/** A PNG as WebP. */
async function webp(painter, png) {
  const text = await painter.evaluate(async ([base64, quality]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", quality).split(",")[1];
  }, [png.toString("base64"), QUALITY]);
  return Buffer.from(text, "base64");
}
