// One leaves a tenant before the origin has answered: what was begun there goes on there, and shows nowhere else.
import { visit } from "./browser.mjs";

const { PAGE, TENANT, ID } = process.env;

await visit(async (site, page) => {
  const there = (path) => `${path}?tenant=${TENANT}`;
  const leave = (path) => page.evaluate((path) => history.pushState(null, "", path), path);
  /** Holds back the next answer to requests whose address has this; `sent` says that one is on its way. */
  const hold = async (part) => {
    let release, reached;
    const [held, sent] = [new Promise((done) => (release = done)), new Promise((done) => (reached = done))];
    const pattern = (url) => url.pathname.includes(part);
    await page.route(pattern, async (route) => {
      const response = await route.fetch();
      reached();
      await held;
      await route.fulfill({ response });
    }, { times: 1 });
    return { sent, release };
  };
  await site.signIn(there("/keys"));

  // Many keys, in more than one request: all of them go to the tenant in which the first went.
  await page.getByRole("table", { name: "Keys" }).waitFor();
  await page.getByLabel("Select all on this page").check();
  await page.getByRole("button", { name: "Select all that there are" }).click();
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("dialog").getByText("510 keys match the filter.").waitFor();
  const chunk = await hold("/bulk/suspend");
  const asked = site.requests.length;
  await page.getByRole("dialog").getByRole("button", { name: "Suspend keys" }).click();
  await chunk.sent;
  await leave("/keys");
  await page.getByRole("link", { name: "ours" }).waitFor();
  chunk.release();
  await page.getByText("510 keys suspended in the tenant that you left.").waitFor();
  const chunks = site.requests.slice(asked).filter((request) => request.includes("/bulk/suspend")).map((request) => request.split(" ")[1].slice(PAGE.length));
  await site.look("acting-left");

  // One key: it isn't there in one's own tenant, whatever is told of it in the other one.
  await site.go(there(`/keys/${ID}`));
  await page.getByRole("heading", { name: "theirs" }).waitFor();
  const change = await hold("/resume");
  await page.getByRole("button", { name: "Resume" }).click();
  await change.sent;
  site.expected.push([404, `/api/v1/api-keys/${ID}`]);
  await leave(`/keys/${ID}`);
  await page.getByRole("heading", { name: "There is no such key" }).waitFor();
  const [answer] = await Promise.all([page.waitForEvent("requestfinished", (request) => request.url().includes("/resume")), change.release()]);
  // What it is answered with has been taken in once a task that was queued after it is done.
  await (await answer.response()).finished();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
  const shown = await page.getByRole("heading", { name: "theirs" }).count();
  await page.goBack();
  await page.getByRole("heading", { name: "theirs" }).waitFor();
  await page.getByRole("button", { name: "Suspend" }).waitFor();
  return { chunks, shown };
});
