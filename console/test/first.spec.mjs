// The first hour: one's own first event on the screen, demo data that says what it is and
// goes without a trace, and views that the team shares.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { browser, call, invite, serve, setUpQuickly, settled, texts, until, watch } from "./server.mjs";

const t = texts("en");
const faults = [];
let server, chrome, session, page;

before(async () => {
  [server, chrome] = await Promise.all([serve(), browser()]);
  session = await setUpQuickly(server);
  const context = await chrome.newContext({ storageState: session.state, viewport: { width: 1280, height: 800 }, locale: "en", reducedMotion: "reduce" });
  page = await context.newPage();
  watch(page, server.url, faults);
});

after(async () => {
  await chrome?.close();
  await server?.stop();
});

const button = (name) => page.getByRole("button", { name, exact: true });

test("the first event appears where its command was copied", async () => {
  await page.goto(server.url);
  await button(t("overview.firstMake")).click();
  const command = await page.getByLabel(t("overview.copyCommand")).filter({ hasText: /Splunk \w/ }).textContent();
  const [, address, token] = /curl (\S+) -H "Authorization: Splunk ([^"]+)"/.exec(command);
  assert.equal(new URL(address).origin, server.url);
  const sent = await fetch(address, { method: "POST", headers: { Authorization: `Splunk ${token}` }, body: "sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2" });
  assert.equal(sent.status, 200);
  await page.getByText(t("overview.firstHere")).waitFor();
  assert.match(await page.getByRole("status").filter({ hasText: t("overview.firstHere") }).innerText(), /203\.0\.113\.9/);
});

test("demo data is looked at, says so on every page, and goes again", async () => {
  const before = (await call(server, "/api/v1/alerts/stats")).body;
  await page.goto(`${server.url}/settings/demo`);
  await button(t("plan.demoOn")).click();
  await button(t("plan.demoLook")).click();
  await page.waitForURL(`${server.url}/`);
  for (const path of ["/", "/alerts", "/search", "/settings/plan"]) {
    await page.goto(server.url + path);
    await page.getByRole("note").filter({ hasText: t("frame.demoBanner") }).waitFor();
  }
  const found = "SSH Login After Repeated Failures";
  await until(`the demo's alert ${found}`, async () => (await call(server, `/api/v1/alerts?search=${encodeURIComponent(found)}`, { session })).body.totalElements > 0);
  await page.goto(`${server.url}/alerts`);
  await page.getByText(found).first().waitFor();
  const real = (await call(server, "/api/v1/alerts/stats")).body;
  assert.deepEqual(real, before, "nothing real has changed");

  await button(t("frame.demoRemove")).click();
  await page.getByRole("dialog").getByRole("button", { name: t("plan.demoOff") }).click();
  await until("the demo is gone", async () => !(await call(server, "/api/v1/demo")).body.on);
  await page.getByRole("note").waitFor({ state: "detached" });
  const { body } = await call(server, "/api/v1/session", { session });
  assert.equal(body.tenants.length, 1);
  assert.equal(body.tenant.demo, false);
});

test("who looks at the demo while it is removed elsewhere is led home", async () => {
  await page.goto(`${server.url}/settings/demo`);
  await button(t("plan.demoOn")).click();
  await button(t("plan.demoLook")).click();
  await page.waitForURL(`${server.url}/`);
  await page.goto(`${server.url}/alerts?severity=high`);
  await page.getByRole("note").filter({ hasText: t("frame.demoBanner") }).waitFor();
  await until("the demo is loaded", async () => (await call(server, "/api/v1/demo")).body.jobId === null);
  assert.equal((await call(server, "/api/v1/demo", { method: "DELETE" })).status, 202);
  await page.waitForURL(`${server.url}/`);
  await page.getByRole("note").waitFor({ state: "detached" });
  // What is shown is the real tenant's: its one event, none of the demo's alerts.
  await page.getByRole("heading", { level: 1, name: t("overview.title") }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: t("frame.nav.alerts"), exact: true }).click();
  await settled(page);
  assert.equal(await page.getByText("SSH Login After Repeated Failures").count(), 0);
});

test("views that only the browser kept move to the server, and stay until it has them", async () => {
  const kept = () => page.evaluate(() => localStorage.getItem("kyra.alertViews"));
  await page.evaluate(() => localStorage.setItem("kyra.alertViews", JSON.stringify([{ name: "Dawn", query: "?severity=low" }, { name: "Dusk", query: "?severity=medium" }])));
  const path = /\/api\/v1\/views$/;
  let cut = 0;
  await page.route(path, (route) => (route.request().method() === "POST" && route.request().postDataJSON().name === "Dusk" ? (cut++, route.abort()) : route.fallback()));
  await page.goto(`${server.url}/alerts`);
  await page.getByRole("link", { name: "Dawn", exact: true }).waitFor();
  await until("a view was cut off", () => cut > 0);
  assert.ok((await kept()).includes("Dusk"), "a view is lost that the server does not have");
  await page.unroute(path);
  await page.reload();
  await page.getByRole("link", { name: "Dusk", exact: true }).waitFor();
  await until("the browser has let go", async () => (await kept()) === null);
  const { views } = (await call(server, "/api/v1/views?kind=alerts", { session })).body;
  assert.deepEqual(views.map((v) => v.name).sort(), ["Dawn", "Dusk"]);
});

test("a view that is shared is there for a colleague", async () => {
  await page.goto(`${server.url}/alerts?severity=critical&status=any`);
  await settled(page);
  await button(t("alerts.saveView")).click();
  await page.getByLabel(t("alerts.viewName")).fill("Night watch");
  await page.getByRole("dialog").getByRole("switch").check();
  await page.getByRole("dialog").getByRole("button", { name: t("alerts.saveView") }).click();
  await page.getByRole("link", { name: "Night watch" }).waitFor();

  const colleague = await invite(server, session, { email: "min@example.org", name: "Min", role: "Analyst" });
  const context = await chrome.newContext({ storageState: colleague.state, viewport: { width: 1280, height: 800 }, locale: "en" });
  const other = await context.newPage();
  watch(other, server.url, faults);
  await other.goto(`${server.url}/alerts`);
  await other.getByRole("link", { name: "Night watch" }).click();
  await other.waitForURL(/severity=critical/);

  // A colleague's view that an Admin shares no longer is out of the Admin's reach: nothing
  // is offered that could not be done. One's own is taken back.
  const made = await call(server, "/api/v1/views", { method: "POST", body: { kind: "alerts", name: "Min's morning", query: "severity=low", shared: true }, session: colleague });
  assert.equal(made.status, 201);
  await page.reload();
  await page.getByRole("link", { name: "Min's morning" }).waitFor();
  const unshare = async (name) => {
    await button(t("alerts.views")).click();
    await page.getByRole("menuitem", { name: t("alerts.removeView", { name }) }).locator('xpath=preceding::*[@role="menuitem"][1]').click();
  };
  const undo = page.getByRole("region", { name: t("parts.notices") }).getByRole("button", { name: t("parts.undo") });
  await unshare("Min's morning");
  await page.getByText(t("alerts.viewUnsharedOf", { name: "Min's morning", owner: "Min" })).waitFor();
  await page.getByRole("link", { name: "Min's morning" }).waitFor({ state: "detached" });
  assert.equal(await undo.count(), 0);
  await unshare("Night watch");
  await page.getByText(t("alerts.viewUnshared", { name: "Night watch" })).waitFor();
  await undo.click();
  await until("the view is shared again", async () => (await call(server, "/api/v1/views?kind=alerts", { session: colleague })).body.views.some((v) => v.name === "Night watch"));
  await context.close();
});

test("nothing failed on the way", () => assert.deepEqual(faults, []));
