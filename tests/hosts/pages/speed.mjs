// How long the list of keys takes, as the browser sees it: from asking for the page to its first rows, and from the last
// letter of a search to its rows (the pause in typing included that is waited for).
import { visit } from "./browser.mjs";

const ROUNDS = 9;
const WORDS = ["billing exporter", "kwd_live_…ab", "person-77"];

await visit(async (site, page) => {
  // The moment at which rows stand in the document, after those that stood there before.
  await page.addInitScript(() => {
    const table = "table[aria-label=Keys]:not([aria-busy=true]) tbody tr";
    new MutationObserver((_, observer) => {
      if (!document.querySelector(table)) return;
      observer.disconnect();
      globalThis.firstRows = performance.now();
    }).observe(document, { childList: true, subtree: true });
  });
  await site.signIn("/keys");
  const rows = [];
  for (let round = 0; round < ROUNDS; round++) {
    await page.reload();
    await page.waitForFunction(() => globalThis.firstRows);
    rows.push(await page.evaluate(() => globalThis.firstRows));
  }
  const searches = [];
  for (const word of WORDS) {
    for (let round = 0; round < ROUNDS / 3; round++) {
      searches.push(await page.evaluate(type, word));
      await page.evaluate(type, "");
    }
  }
  return { rows, searches };
});

/** Types a word at once, and says how long its rows took. */
function type(word) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`no rows for “${word}”`)), 20_000);
    const input = document.querySelector("input[type=search]");
    const table = document.querySelector("table[aria-label=Keys]");
    const before = table.querySelector("td.lead").textContent;
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, word);
    const began = performance.now();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    new MutationObserver((_, observer) => {
      if (table.ariaBusy === "true" || table.querySelector("td.lead")?.textContent === before) return;
      observer.disconnect();
      resolve(performance.now() - began);
    }).observe(table, { attributes: true, childList: true, characterData: true, subtree: true });
  });
}
