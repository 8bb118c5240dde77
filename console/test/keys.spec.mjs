// Each main flow with the keyboard alone: nothing here touches the mouse, and no element
// is given the focus but by keys.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { account, api, browser, bruteForce, refused, send, serve, setUpQuickly, settled, texts, until, watch } from "./server.mjs";

const say = texts("en");
const faults = [];
let server, chrome, me;

before(async () => {
  [server, chrome] = await Promise.all([serve(), browser()]);
  me = await setUpQuickly(server);
  await send(server, [...bruteForce("203.0.113.77"), refused("alice"), refused("bob")]);
  await until("three alerts", async () => (await api(server, "/api/v1/alerts")).totalElements >= 3);
  await until("an incident", async () => (await api(server, "/api/v1/incidents")).totalElements >= 1);
});

after(async () => {
  await chrome?.close();
  await server?.stop();
});

/** A page of its own, reached by the keys of the keyboard map. */
async function at(t, keys, title) {
  const context = await chrome.newContext({ storageState: me.state, viewport: { width: 1440, height: 900 }, locale: "en", timezoneId: "Asia/Seoul" });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  watch(page, server.url, faults);
  await page.goto(server.url);
  await settled(page);
  for (const key of keys) await page.keyboard.press(key);
  await page.getByRole("heading", { name: title, level: 1, exact: true }).waitFor();
  await settled(page);
  return page;
}

/** Presses Tab until what has the focus is called so. */
async function tabTo(page, role, name, longest = 200) {
  const wanted = page.getByRole(role, { name, exact: true });
  for (let i = 0; i < longest; i++) {
    await page.keyboard.press("Tab");
    if (await wanted.evaluateAll((all) => all.includes(document.activeElement))) return;
  }
  throw new Error(`${role} "${name}" is not reached by ${longest} times Tab`);
}

const toast = (page, text) => page.locator('[aria-live="polite"]').getByText(text).first().waitFor();

test("triage: find, take, status, note, false positive", async (t) => {
  const page = await at(t, ["g", "a"], say("alerts.title"));
  await page.keyboard.press("/");
  await page.keyboard.type("alice");
  await page.waitForURL("**search=alice*");
  await page.waitForFunction(() => document.querySelectorAll('[role="grid"] [role="row"]').length === 2);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("a");
  await toast(page, say("alerts.assigned", { n: 1 }));
  await page.keyboard.press("s");
  const menu = page.getByRole("menu");
  await page.waitForFunction(() => document.activeElement?.closest("[role=menu]"));
  // Escape closes the menu and nothing else.
  await page.keyboard.press("Escape");
  await menu.waitFor({ state: "detached" });
  await page.getByRole("toolbar").waitFor();
  await page.keyboard.press("s");
  await page.waitForFunction(() => document.activeElement?.closest("[role=menu]"));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await toast(page, say("alerts.statusSet", { n: 1, status: say("words.alert.IN_PROGRESS") }));
  await page.keyboard.press("c");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("asked her");
  await page.keyboard.press("Control+Enter");
  await toast(page, say("alerts.noted", { n: 1 }));
  await page.keyboard.press("f");
  await page.getByRole("radio").first().waitFor();
  await page.keyboard.press("1");
  await page.keyboard.press("Enter");
  await toast(page, say("alerts.falseSet", { n: 1 }));
  const [row] = (await api(server, "/api/v1/alerts?search=alice")).content;
  const alert = await api(server, `/api/v1/alerts/${row.id}`);
  assert.deepEqual([alert.status, alert.assignedTo, alert.verdict], ["FALSE_POSITIVE", account.email, "FALSE_POSITIVE"]);
  assert.ok(alert.history.some((h) => h.note === "asked her"));
});

test("a case: open, move, comment, task", async (t) => {
  const page = await at(t, ["g", "i"], say("incidents.title"));
  await page.keyboard.press("j");
  await page.waitForFunction(() => document.activeElement?.hasAttribute("data-card"));
  const id = await page.evaluate(() => document.activeElement.getAttribute("data-card"));
  await page.keyboard.press("Shift+ArrowRight");
  await toast(page, say("incidents.moved", { status: say("words.incident.CONTAINED") }));
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/incidents/${id}`);
  await settled(page);
  await page.keyboard.press("a");
  await toast(page, say("incidents.assigned", { who: account.email }));
  await page.keyboard.press("s");
  await toast(page, say("incidents.moved", { status: say("words.incident.ERADICATED") }));
  await page.keyboard.press("c");
  await page.keyboard.type("The address is blocked.");
  await page.keyboard.press("Control+Enter");
  await toast(page, say("incidents.commented"));
  await tabTo(page, "textbox", say("incidents.addTask"));
  await page.keyboard.type("Ask the owner of web-01");
  await page.keyboard.press("Enter");
  await page.getByText("Ask the owner of web-01").first().waitFor();
  const incident = await api(server, `/api/v1/incidents/${id}`);
  assert.deepEqual([incident.status, incident.assignedTo, incident.comments.at(-1).content], ["ERADICATED", account.email, "The address is blocked."]);
});

test("search: write with completion, open an event, filter by a value, follow", async (t) => {
  const page = await at(t, ["g", "s"], say("search.title"));
  await page.keyboard.press("/");
  await page.keyboard.type("program:ss");
  await page.getByRole("option", { name: "sshd" }).first().waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**q=program*sshd*");
  await page.getByRole("status").filter({ hasText: say("search.found", { n: 8 }) }).waitFor();
  await page.locator('[role="row"][aria-rowindex="2"]').waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.locator('[role="row"][aria-rowindex="2"] [aria-expanded="true"]').waitFor();
  await tabTo(page, "button", "203.0.113.77");
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/203\.0\.113\.77/);
  await settled(page);
  await page.keyboard.press("t");
  await page.waitForURL("**tail=1*");
  await page.keyboard.press("t");
  await page.waitForURL((url) => !url.search.includes("tail"));
});

test("a rule: write, see the fault, keep as a draft, leave the box", async (t) => {
  const page = await at(t, ["g", "r"], say("rules.title"));
  await tabTo(page, "link", say("rules.new"));
  await page.keyboard.press("Enter");
  await page.waitForURL("**/rules/new");
  await settled(page);
  await tabTo(page, "textbox", say("rules.text"));
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("title: By keys\nstatus: experimental\nlevel: low\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  selection:\n    user: root\n  condition: select");
  await page.locator("#rule-says").getByText(/^\d+:\d+/).waitFor();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("ion");
  await page.getByText(say("rules.valid"), { exact: true }).waitFor();
  // Tab indents in the box: Escape lets it leave.
  await page.keyboard.press("Escape");
  await tabTo(page, "button", say("rules.createDraft"));
  await page.keyboard.press("Enter");
  await toast(page, say("rules.created"));
  await until("the rule", async () => (await api(server, "/api/v1/siem/rules?search=By%20keys")).content.some((r) => r.status === "DRAFT"));
});

test("a key: made, used, revoked", async (t) => {
  const page = await at(t, ["g", ","], say("settings.title"));
  await tabTo(page, "link", say("settings.section.keys"));
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings/keys");
  await settled(page);
  await tabTo(page, "button", say("settings.newKey"));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("textbox", { name: say("forms.name") }).waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "INPUT");
  await page.keyboard.type("by keys");
  await page.keyboard.press("Enter");
  const shown = page.getByRole("dialog").getByRole("textbox", { name: say("settings.keyMade") });
  await shown.waitFor();
  const key = await shown.inputValue();
  assert.equal((await fetch(`${server.url}/api/v1/alerts`, { headers: { Authorization: `Bearer ${key}` } })).status, 200);
  await tabTo(page, "button", say("forms.kept"));
  await page.keyboard.press("Enter");
  await shown.waitFor({ state: "detached" });
  await page.keyboard.press("/");
  await page.keyboard.type("by keys");
  await page.waitForURL("**search=by*");
  await settled(page);
  await tabTo(page, "button", say("settings.revoke"));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, "button", say("settings.revoke"));
  await page.keyboard.press("Enter");
  await toast(page, say("settings.revoked", { name: "by keys" }));
  assert.equal((await fetch(`${server.url}/api/v1/alerts`, { headers: { Authorization: `Bearer ${key}` } })).status, 401);
});

test("the palette goes anywhere, the map tells every key, and links skip to the page", async (t) => {
  const page = await at(t, ["g", "o"], say("overview.title"));
  await page.keyboard.press("Control+k");
  await page.keyboard.type("reports");
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/reports");
  await settled(page);
  await page.keyboard.press("?");
  const map = page.getByRole("dialog");
  for (const text of ["frame.palette", "frame.undoLast", "frame.nav.alerts"]) await map.getByText(say(text), { exact: true }).first().waitFor();
  await page.keyboard.press("Escape");
  await map.waitFor({ state: "detached" });
  await page.reload();
  await settled(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), say("frame.skip"));
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "page");
});

test("nothing broke, was refused, or came from another host", () => assert.deepEqual(faults, []));
