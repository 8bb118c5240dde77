// Who may not see or do something: another tenant's people, and a viewer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { account, api, browser, bruteForce, call, invite, send, serve, setUpQuickly, settled, texts, until, watch } from "./server.mjs";

const say = texts("en");
const address = "198.51.100.23";
const faults = [];
let server, chrome, admin, analyst, viewer, other, theirs;

before(async () => {
  [server, chrome] = await Promise.all([serve(), browser()]);
  admin = await setUpQuickly(server);
  analyst = await invite(server, admin, { email: "ana@example.org", name: "Ana", role: "Analyst" });
  viewer = await invite(server, admin, { email: "vera@example.org", name: "Vera", role: "Viewer" });
  await send(server, bruteForce("203.0.113.5", "ours"));

  // The second tenant: made and filled by the installation's Admin, who goes back then.
  const { id, name } = await api(server, "/api/v1/tenants", { method: "POST", body: { name: "Han River Bank", plan: "MDR" }, session: admin });
  await call(server, "/api/v1/session/tenant", { method: "PUT", body: { tenantId: id }, session: admin });
  const { key } = await api(server, "/api/v1/api-keys", { method: "POST", body: { name: "bank", scope: "read-write" }, session: admin });
  const bank = { ...server, key };
  const banker = await invite(server, admin, { email: "bo@example.org", name: "Bo", role: "Analyst" });
  const home = (await api(server, "/api/v1/session", { session: admin })).tenants.find((one) => one.id !== id);
  await call(server, "/api/v1/session/tenant", { method: "PUT", body: { tenantId: home.id }, session: admin });
  await send(bank, bruteForce(address, "root"));
  const alert = await until("the bank's alert", async () => (await api(bank, `/api/v1/alerts?entity=${address}`)).content[0]);
  const incident = await until("the bank's incident", async () => (await api(bank, "/api/v1/incidents")).content[0]);
  const event = await until("the bank's event", async () => (await api(bank, "/api/v1/siem/search", { method: "POST", body: { query: `src_ip:${address}`, limit: 1 } })).events?.[0]);
  await until("our alert", async () => (await api(server, "/api/v1/alerts")).content[0]);
  other = { name, bank, banker, home: home.name };
  theirs = { alert, incident, event };
});

after(async () => {
  await chrome?.close();
  await server?.stop();
});

async function as(t, who, language = "en") {
  const context = await chrome.newContext({ storageState: who.state, viewport: { width: 1440, height: 900 }, locale: language, timezoneId: "Asia/Seoul" });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  watch(page, server.url, faults);
  return page;
}

test("another tenant's alert, case and events are not there: by API", async () => {
  const { alert, incident, event } = theirs;
  for (const session of [analyst, viewer, admin]) {
    for (const path of [`/api/v1/alerts/${alert.id}`, `/api/v1/alerts/${alert.id}/events`, `/api/v1/incidents/${incident.id}`, `/api/v1/siem/events/${event.id}`])
      assert.equal((await call(server, path, { session })).status, 404, path);
    assert.equal((await api(server, `/api/v1/alerts?entity=${address}`, { session })).totalElements, 0);
    assert.equal((await api(server, `/api/v1/alerts?search=${address}`, { session })).totalElements, 0);
    assert.equal((await api(server, "/api/v1/siem/search", { method: "POST", body: { query: address, limit: 5 }, session })).total, 0);
    assert.ok((await api(server, "/api/v1/changes?after=0&limit=500", { session })).changes.every((c) => c.id !== alert.id && c.id !== incident.id), "the stream of changes names it");
  }
  for (const [path, body] of [[`/api/v1/alerts/${alert.id}`, { status: "RESOLVED" }], [`/api/v1/incidents/${incident.id}`, { status: "CONTAINED" }]]) assert.equal((await call(server, path, { method: "PATCH", body, session: analyst })).status, 404, path);
  assert.equal((await call(server, `/api/v1/alerts/${alert.id}/escalate`, { method: "POST", session: analyst })).status, 404);
  // Both are there for whom they are.
  assert.equal((await call(server, `/api/v1/alerts/${alert.id}`, { session: other.banker })).status, 200);
  assert.equal((await call(server, "/api/v1/tenants", { session: analyst })).status, 403);
});

test("another tenant's alert is not there: by address, in lists and in search", async (t) => {
  const page = await as(t, analyst);
  const { alert, incident } = theirs;
  for (const path of [`/alerts/${alert.id}`, `/incidents/${incident.id}`, `/alerts?open=${alert.id}`]) {
    await page.goto(server.url + path);
    await page.getByRole("heading", { name: say("parts.notFound") }).waitFor();
    assert.ok(!(await page.locator("body").innerText()).includes(address), `${path} shows it`);
  }
  for (const path of [`/alerts?status=any&entity=${address}`, `/incidents?view=table&search=${encodeURIComponent(incident.title)}`, `/search?q=${address}`]) {
    await page.goto(server.url + path);
    await settled(page);
    assert.equal(await page.locator('[role="grid"] [role="row"][aria-rowindex]:not([aria-rowindex="1"]), [role="table"] [role="row"][aria-rowindex]:not([aria-rowindex="1"])').filter({ hasText: address }).count(), 0, path);
  }
  await page.goto(`${server.url}/search?q=${address}`);
  await page.getByRole("heading", { name: say("search.nothing") }).waitFor();
  // There is nothing to switch to, either.
  assert.equal(await page.getByRole("button", { name: say("frame.tenant") }).count(), 0);
});

test("who belongs to both tenants switches, and sees one at a time", async (t) => {
  // Each tenant numbers its own changes: ours are far ahead of the bank's.
  const [ours] = (await api(server, "/api/v1/alerts")).content;
  for (const status of Array.from({ length: 10 }, () => ["IN_PROGRESS", "OPEN"]).flat()) assert.equal((await call(server, `/api/v1/alerts/${ours.id}`, { method: "PATCH", body: { status } })).status, 200);
  const page = await as(t, admin);
  const told = page.waitForResponse((r) => r.url().includes("/api/v1/changes"));
  await page.goto(`${server.url}/alerts`);
  await told;
  const text = () => page.locator('[role="grid"]').innerText();
  await page.locator('[role="grid"]').waitFor();
  assert.match(await text(), /203\.0\.113\.5/);
  assert.doesNotMatch(await text(), /198\.51\.100/);
  await page.getByRole("button", { name: say("frame.tenant") }).click();
  await page.getByRole("menuitem", { name: other.name }).click();
  await page.getByRole("button", { name: say("frame.tenant") }).filter({ hasText: other.name }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: say("frame.nav.alerts"), exact: true }).click();
  await page.locator('[role="grid"]').waitFor();
  assert.match(await text(), /198\.51\.100\.23/);
  assert.doesNotMatch(await text(), /203\.0\.113/);
  // What comes in now is announced here.
  await send(other.bank, bruteForce("198.51.100.77", "eve"));
  await page.getByRole("button", { name: new RegExp(`^${say("alerts.newOnes", { n: "\\d+" })}$`) }).click();
  await page.locator('[role="grid"]').getByText("198.51.100.77").first().waitFor();
  // Back, so that no other test depends on it.
  await page.getByRole("button", { name: say("frame.tenant") }).click();
  await page.getByRole("menuitem", { name: other.home, exact: true }).click();
  await page.getByRole("button", { name: say("frame.tenant") }).filter({ hasNotText: other.name }).waitFor();
});

test("the queue over tenants says how much of it is shown, and how to see all again", async (t) => {
  const page = await as(t, admin);
  // One of them at a time, as if there were more than a page holds.
  await page.route("**/api/v1/provider/alerts?*", (route) => route.continue({ url: route.request().url().replace("size=100", "size=1") }));
  await page.goto(`${server.url}/tenants`);
  await page.getByRole("status").filter({ hasText: new RegExp(`^${say("tenants.shownOf", { shown: 1, n: "\\d+" })}$`) }).waitFor();
  await page.getByRole("searchbox").fill("nobody has written this");
  await page.getByRole("heading", { name: say("parts.filteredOut") }).waitFor();
  await page.locator("main").getByRole("button", { name: say("parts.clearFilters") }).last().click();
  await page.locator('[role="grid"]').waitFor();
});

test("a shorter retention of a customer is asked for first", async (t) => {
  const page = await as(t, admin);
  const days = async () => (await api(server, "/api/v1/tenants", { session: admin })).content.find((one) => one.name === other.name).retentionDays;
  const before = await days();
  const n = before - 1;
  await page.goto(`${server.url}/tenants?tab=tenants`);
  await page.locator('[role="row"]').filter({ hasText: other.name }).click();
  await page.getByRole("button", { name: say("forms.change") }).click();
  const form = page.getByRole("dialog", { name: say("forms.change") });
  await form.getByLabel(say("tenants.retention")).fill(String(n));
  await form.getByRole("button", { name: say("parts.save") }).click();
  const question = page.getByRole("dialog", { name: say("tenants.shorter", { name: other.name, n }) });
  await question.getByRole("button", { name: say("parts.cancel") }).click();
  await question.waitFor({ state: "detached" });
  assert.equal(await days(), before);
  await form.getByRole("button", { name: say("parts.save") }).click();
  await question.getByRole("button", { name: say("tenants.shorterSet", { n }) }).click();
  await until("the shorter term", async () => (await days()) === n);
});

test("a viewer is offered no change, and the API refuses each", async (t) => {
  const page = await as(t, viewer);
  const changes = [];
  page.on("request", (request) => {
    if (["PATCH", "PUT", "DELETE"].includes(request.method()) || (request.method() === "POST" && /\/(bulk|escalate|comments|tasks)$/.test(new URL(request.url()).pathname))) changes.push(`${request.method()} ${request.url()}`);
  });
  const [alert] = (await api(server, "/api/v1/alerts")).content;
  const incident = await until("our incident", async () => (await api(server, "/api/v1/incidents")).content[0]);
  const [rule] = (await api(server, "/api/v1/siem/rules?size=1")).content;

  await page.goto(`${server.url}/alerts`);
  await page.locator('[role="grid"]').waitFor();
  await page.keyboard.press("j");
  assert.equal(await page.getByRole("toolbar").count(), 0);
  await page.keyboard.press("Enter");
  await page.locator("article h2").waitFor();
  await settled(page);
  for (const name of ["assignToMe", "falsePositive", "escalate", "comment"]) assert.equal(await page.getByRole("button", { name: say(`alerts.${name}`), exact: true }).count(), 0, name);
  for (const key of ["a", "e", "r", "f", "c"]) await page.keyboard.press(key);
  assert.equal(await page.getByRole("dialog").count(), 0);

  await page.goto(`${server.url}/incidents?view=board`);
  await page.locator("[data-card]").first().waitFor();
  assert.equal(await page.locator("[data-card]").first().getAttribute("draggable"), "false");
  assert.equal(await page.getByRole("button", { name: say("incidents.new"), exact: true }).count(), 0);
  await page.locator("[data-card]").first().focus();
  await page.keyboard.press("Shift+ArrowRight");
  await page.goto(`${server.url}/incidents/${incident.id}`);
  await settled(page);
  assert.equal(await page.getByRole("textbox", { name: say("incidents.comment"), exact: true }).count(), 0);
  for (const step of await page.getByRole("group", { name: say("words.status") }).getByRole("button").all()) assert.ok(await step.isDisabled());

  await page.goto(`${server.url}/rules/${rule.id}`);
  await settled(page);
  assert.ok(await page.getByRole("textbox", { name: say("rules.text") }).evaluate((box) => box.readOnly));
  for (const name of ["forms.switchOff", "rules.stage", "rules.copyDraft"]) assert.equal(await page.getByRole("button", { name: say(name), exact: true }).count(), 0, name);
  await page.goto(`${server.url}/reports`);
  await settled(page);
  assert.equal(await page.getByRole("button", { name: say("reports.makeOne") }).count(), 0);
  await page.goto(`${server.url}/settings/team`);
  await settled(page);
  assert.equal(await page.getByRole("button", { name: say("settings.invite") }).count(), 0);

  assert.deepEqual(changes, [], "a key or a page asked for a change");
  for (const [method, path, body] of [
    ["PATCH", `/api/v1/alerts/${alert.id}`, { status: "RESOLVED" }],
    ["POST", "/api/v1/alerts/bulk", { ids: [alert.id], status: "RESOLVED" }],
    ["POST", `/api/v1/alerts/${alert.id}/escalate`],
    ["PATCH", `/api/v1/incidents/${incident.id}`, { status: "CONTAINED" }],
    ["POST", `/api/v1/incidents/${incident.id}/comments`, { content: "x" }],
    ["PATCH", `/api/v1/siem/rules/${rule.id}`, { status: "INACTIVE" }],
    ["POST", "/api/v1/api-keys", { name: "x", scope: "read-only" }],
    ["POST", "/api/v1/ingest-tokens", { name: "x" }],
    ["POST", "/api/v1/webhooks", { name: "x", url: "https://example.org/", events: ["alert.created"] }],
    ["POST", "/api/v1/report-runs", { kind: "executive" }],
    ["POST", "/api/v1/users", { email: "x@example.org", name: "x", role: "Admin" }],
  ])
    assert.equal((await call(server, path, { method, body, session: viewer })).status, 403, `${method} ${path}`);
  // Nothing of what was pressed or asked for has changed anything.
  const now = await api(server, `/api/v1/alerts/${alert.id}`);
  assert.deepEqual([now.status, now.assignedTo], ["OPEN", null]);
  assert.equal((await api(server, `/api/v1/incidents/${incident.id}`)).status, "OPEN");
});

test("without a session there is the sign-in page, and nothing else", async (t) => {
  const page = await as(t, { state: undefined });
  await page.goto(`${server.url}/alerts/${theirs.alert.id}`);
  await page.waitForURL("**/signin?to=*");
  assert.equal(await page.locator("nav").count(), 0);
  assert.equal((await fetch(`${server.url}/api/v1/alerts`)).status, 401);
  // An address from outside is no place to go on to.
  await page.goto(`${server.url}/signin?to=//evil.example/`);
  await page.locator('input[name="email"]').fill(account.email);
  await page.locator('input[name="password"]').fill(account.password);
  await page.locator('button[type="submit"]').click();
  await page.waitForURL(`${server.url}/`);
});

test("nothing broke, was refused, or came from another host", () => assert.deepEqual(faults, []));
