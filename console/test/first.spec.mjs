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
  await context.close();
});

test("nothing failed on the way", () => assert.deepEqual(faults, []));
