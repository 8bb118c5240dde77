// From the first sign-in to the report: the whole way of an analyst, in English and in
// Korean, each on a server of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { account, api, browser, receiver, refused, serve, setUp, settled, texts, totp, until, watch } from "./server.mjs";

const run = promisify(execFile);
const rule = `title: Refused sudo of one host
status: experimental
description: Somebody asks for what they may not have.
author: Kim Ji-woo
level: medium
logsource:
  product: linux
  service: sudo
detection:
  selection:
    message|contains: command not allowed
  condition: selection
`;
const languages = {
  en: { name: "English", says: /[A-Za-z]/ },
  ko: { name: "한국어", says: /\p{Script=Hangul}/u },
};

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

for (const [language, { name, says }] of Object.entries(languages))
  test(`from sign-in to report: ${language}`, async (t) => {
    const faults = [];
    const folder = mkdtempSync(join(tmpdir(), "kyra-flow-"));
    const [server, soc] = await Promise.all([serve(), receiver()]);
    const context = await chrome.newContext({ viewport: { width: 1440, height: 900 }, locale: "en", timezoneId: "Asia/Seoul", acceptDownloads: true });
    t.after(async () => {
      await context.close();
      await Promise.all([server.stop(), soc.stop()]);
      rmSync(folder, { recursive: true, force: true });
    });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    watch(page, server.url, faults);
    const say = texts(language);
    const toast = (text) => page.locator('[aria-live="polite"]').getByText(text).first().waitFor();
    const button = (text) => page.getByRole("button", { name: text, exact: true });
    const heading = async (text) => {
      await page.getByRole("heading", { name: text, level: 1, exact: true }).waitFor();
      assert.match(text, says);
    };
    const dialog = page.getByRole("dialog");
    let sending, secret, broken;
    // What follows a step that failed could only fail too.
    const step = (title, does) =>
      t.test(title, async (t) => {
        if (broken) return t.skip(broken);
        broken = `after "${title}"`;
        await does();
        broken = undefined;
      });

    await step("the language is chosen in the menu, and stays", async () => {
      await setUp(page, server);
      await button(`Signed in as ${account.name}`).click();
      await page.getByRole("menuitemradio", { name }).click();
      await page.keyboard.press("Escape");
      await heading(say("overview.title"));
      await page.reload();
      await heading(say("overview.title"));
      for (const id of ["alerts", "incidents", "search", "rules", "reports", "settings"]) {
        await page.getByRole("navigation").getByRole("link", { name: say(`frame.nav.${id}`), exact: true }).waitFor();
        assert.match(say(`frame.nav.${id}`), says);
      }
    });

    await step("a second factor is set up, and asked for at sign-in", async () => {
      await page.goto(`${server.url}/settings/security`);
      await button(say("settings.setUpFactor")).click();
      await dialog.locator('input[type="password"]').fill(account.password);
      await dialog.getByRole("button", { name: say("settings.next"), exact: true }).click();
      const typed = dialog.getByLabel(say("settings.typeSecret"));
      await typed.waitFor();
      const shared = await typed.inputValue();
      await dialog.getByLabel(say("settings.sixDigits")).fill(totp(shared));
      await dialog.getByRole("button", { name: say("settings.confirmCode"), exact: true }).click();
      await page.getByText(say("settings.codesWhy")).waitFor();
      assert.equal(await page.locator("main ul li:has-text('-')").count() >= 8, true, "recovery codes are shown");

      await button(say("frame.person", { name: account.name })).click();
      await page.getByRole("menuitem", { name: say("frame.signOut") }).click();
      await page.waitForURL("**/signin");
      await page.locator('input[name="email"]').fill(account.email);
      await page.locator('input[name="password"]').fill(account.password);
      await page.locator('button[type="submit"]').click();
      await page.getByText(say("signin.codeWhy")).waitFor();
      await page.locator('input[name="code"]').fill("000000");
      await page.locator('button[type="submit"]').click();
      await page.getByText(say("signin.wrongCode")).waitFor();
      // Each code counts once: the next one is within what clocks may be off.
      await page.locator('input[name="code"]').fill(totp(shared, 1));
      await page.locator('button[type="submit"]').click();
      await page.waitForURL(`${server.url}/`);
    });

    await step("a key made here works with curl, as the page says it", async () => {
      await page.goto(`${server.url}/settings/keys`);
      await button(say("settings.newKey")).click();
      await dialog.getByLabel(say("forms.name")).fill("curl");
      await dialog.getByRole("button", { name: say("forms.create"), exact: true }).click();
      await page.getByText(say("settings.keyOnce")).waitFor();
      const key = await dialog.getByRole("textbox", { name: say("settings.keyMade") }).inputValue();
      const command = await dialog.locator("pre").innerText();
      await button(say("forms.kept")).click();
      const { stdout } = await run("sh", ["-c", command.replace("curl ", "curl -sS -w '\\n%{http_code}' ")]);
      assert.match(stdout, /"totalElements":0[\s\S]*\n200$/);
      // A key that may only read changes nothing.
      const refusedCode = await run("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-H", `Authorization: Bearer ${key}`, "-H", "Content-Type: application/json", "-d", "{}", `${server.url}/api/v1/webhooks`]);
      assert.equal(refusedCode.stdout, "403");
    });

    await step("a token to send logs with, and a webhook to hear of them", async () => {
      await page.goto(`${server.url}/settings/ingest`);
      await button(say("settings.newToken")).click();
      await dialog.getByLabel(say("forms.name")).fill("web-01");
      await dialog.getByRole("button", { name: say("forms.create"), exact: true }).click();
      await page.getByText(say("settings.tokenOnce")).waitFor();
      sending = await dialog.locator("pre").innerText();
      await button(say("forms.kept")).click();

      await page.goto(`${server.url}/settings/webhooks`);
      await button(say("settings.newHook")).click();
      await dialog.getByLabel(say("forms.name")).fill("SOC");
      await dialog.getByLabel(say("settings.address"), { exact: false }).first().fill(soc.url);
      await dialog.getByRole("button", { name: say("forms.create"), exact: true }).click();
      await page.getByText(say("settings.hookSecretWhy")).waitFor();
      secret = await dialog.getByRole("textbox", { name: say("settings.hookSecret") }).inputValue();
      await button(say("forms.kept")).click();
    });

    const rows = page.locator('[role="grid"] [role="row"][aria-rowindex]:not([aria-rowindex="1"])');
    let alert, incident;

    await step("an alert arrives on the open page from a log, and the receiver is told", async () => {
      await page.goto(`${server.url}/alerts`);
      await heading(say("alerts.title"));
      await page.getByText(say("alerts.emptyTitle")).waitFor();
      // The command that the token was shown with, on a file of ours.
      writeFileSync(join(folder, "auth.log"), `${refused("mallory")}\n`);
      await run("sh", ["-c", sending.replace("curl ", "curl -fsS ").replace("/var/log/auth.log", join(folder, "auth.log"))]);
      await rows.first().waitFor({ timeout: 30_000 });
      assert.match(await rows.first().innerText(), /mallory/);
      const told = await until("alert.created", () => soc.got.find((g) => g.event.event === "alert.created"));
      soc.check(told, secret);
      assert.throws(() => soc.check({ ...told, body: told.body.replace("alert", "Alert") }, secret), "a changed body is not signed");
      alert = told.event.data.id;
      assert.equal((await api(server, `/api/v1/alerts/${alert}`)).status, "OPEN");
    });

    await step("triage and escalation by keyboard", async () => {
      await page.keyboard.press("j");
      await page.keyboard.press("a");
      await toast(say("alerts.assigned", { n: 1 }));
      await page.keyboard.press("Enter");
      await page.locator("article h2").waitFor();
      await page.getByRole("tab", { name: say("alerts.tab.story"), selected: true }).waitFor();
      await page.keyboard.press("s");
      await page.getByRole("menuitem", { name: say("words.alert.IN_PROGRESS") }).waitFor();
      // Mantine's menu has the focus: the second entry is "in progress".
      await page.keyboard.press("ArrowDown");
      await page.getByRole("menuitem", { name: say("words.alert.IN_PROGRESS") }).press("Enter");
      await toast(say("alerts.statusSet", { n: 1, status: say("words.alert.IN_PROGRESS") }));
      assert.deepEqual([(await api(server, `/api/v1/alerts/${alert}`)).status, (await api(server, `/api/v1/alerts/${alert}`)).assignedTo], ["IN_PROGRESS", account.email]);
      await page.keyboard.press("e");
      await toast(say("alerts.escalated"));
      incident = (await api(server, `/api/v1/alerts/${alert}`)).incidentId;
      assert.ok(incident);
      soc.check(await until("incident.created", () => soc.got.find((g) => g.event.event === "incident.created" && g.event.data.id === incident)), secret);
    });

    await step("the case moves over the board by mouse and by keyboard, and is commented", async () => {
      await page.goto(`${server.url}/incidents?view=board`);
      await heading(say("incidents.title"));
      const card = page.locator(`[data-card="${incident}"]`);
      const move = async (status, how) => {
        await how();
        await toast(say("incidents.moved", { status: say(`words.incident.${status}`) }));
        await page.getByRole("region", { name: say(`words.incident.${status}`), exact: true }).locator(`[data-card="${incident}"]`).waitFor();
        assert.equal((await api(server, `/api/v1/incidents/${incident}`)).status, status);
      };
      await move("CONTAINED", () => card.dragTo(page.getByRole("region", { name: say("words.incident.CONTAINED"), exact: true })));
      await card.focus();
      await move("ERADICATED", () => page.keyboard.press("Shift+ArrowRight"));
      await page.keyboard.press("Enter");
      await page.waitForURL(`**/incidents/${incident}`);
      await settled(page);
      await page.keyboard.press("c");
      await page.keyboard.type("mallory 계정을 잠갔습니다. <b>done</b>");
      await page.keyboard.press("Control+Enter");
      await toast(say("incidents.commented"));
      await page.getByText("<b>done</b>").first().waitFor();
      assert.equal((await api(server, `/api/v1/incidents/${incident}`)).comments.at(-1).content, "mallory 계정을 잠갔습니다. <b>done</b>");
    });

    await step("search, and zoom with the brush", async () => {
      await page.goto(`${server.url}/search`);
      await heading(say("search.title"));
      await page.getByRole("combobox", { name: say("search.query") }).fill("program:sudo");
      await page.keyboard.press("Enter");
      await page.waitForURL("**q=program*");
      await page.getByText(say("search.found", { n: 1 }), { exact: true }).or(page.getByRole("status").filter({ hasText: say("search.found", { n: 1 }) })).first().waitFor();
      const canvas = page.locator("figure canvas").first();
      await canvas.waitFor();
      await settled(page);
      const chart = await canvas.boundingBox();
      await page.mouse.move(chart.x + chart.width * 0.9, chart.y + 50);
      await page.mouse.down();
      await page.mouse.move(chart.x + chart.width - 12, chart.y + 50, { steps: 8 });
      await page.mouse.up();
      await page.waitForURL("**from=*");
      const { searchParams } = new URL(page.url());
      const span = Date.parse(searchParams.get("to")) - Date.parse(searchParams.get("from"));
      assert.ok(span > 0 && span < 6 * 3_600_000, `zoomed to ${span / 60_000} min of 24 h`);
      await page.getByRole("status").filter({ hasText: say("search.found", { n: 1 }) }).first().waitFor();
    });

    await step("a rule is written, tried on the past, and kept", async () => {
      await page.goto(`${server.url}/rules/new`);
      const box = page.getByRole("textbox", { name: say("rules.text") });
      await box.fill("title: x\nlogsource: {");
      await page.locator("#rule-says").getByText(/^\d+:\d+/).waitFor();
      await box.fill(rule);
      await page.getByText(say("rules.valid"), { exact: true }).waitFor();
      await page.getByRole("tab", { name: say("rules.tab.backtest"), exact: true }).click();
      await button(say("rules.backtest")).click();
      await page.locator("figure", { hasText: say("rules.perDay") }).locator("canvas").waitFor({ timeout: 30_000 });
      assert.match(await page.getByRole("status").filter({ hasText: say("rules.matches") }).first().innerText(), /^1\b/);
      await page.getByRole("tab", { name: say("rules.tab.text"), exact: true }).click();
      assert.equal(await box.inputValue(), rule);
      await button(say("rules.createDraft")).click();
      await toast(say("rules.created"));
      await page.waitForURL(/\/rules\/(?!new)/);
      const kept = await api(server, `/api/v1/siem/rules/${new URL(page.url()).pathname.split("/").pop()}`);
      assert.deepEqual([kept.name, kept.status], ["Refused sudo of one host", "DRAFT"]);
    });

    await step("the report tells of it", async () => {
      await page.goto(`${server.url}/reports`);
      await heading(say("reports.title"));
      await button(say("reports.makeOne")).first().click();
      await dialog.getByRole("textbox", { name: say("reports.kind"), exact: false }).or(dialog.getByRole("combobox", { name: say("reports.kind"), exact: false })).first().click();
      await page.getByRole("option", { name: say("reports.kind.incident") }).click();
      await dialog.getByRole("button", { name: say("reports.make"), exact: true }).click();
      const link = page.getByRole("link", { name: "PDF", exact: true });
      await link.waitFor({ timeout: 30_000 });
      const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
      const file = join(folder, "report.pdf");
      await download.saveAs(file);
      const { stdout } = await run("pdftotext", ["-layout", file, "-"]);
      assert.match(stdout, says);
      const { title } = await api(server, `/api/v1/incidents/${incident}`);
      assert.ok(stdout.replaceAll(/\s+/g, " ").includes(title), `${title} is not in\n${stdout}`);
      assert.match(stdout, language === "ko" ? /인시던트|사건/ : /[Ii]ncident/);
      if (language === "en") assert.doesNotMatch(stdout.replaceAll(/.*계정을 잠갔습니다.*/g, ""), /\p{Script=Hangul}/u);
    });

    await step("nothing broke, was refused, or came from another host", () => assert.deepEqual(faults, []));
  });
