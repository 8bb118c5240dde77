// Every page of a server that a recorded attack went through, in both themes: axe finds
// nothing serious, no page shows a fault, nothing is refused by the content policy, no other
// host is asked.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { pages } from "./pages.mjs";
import { browser, demo, setUpQuickly, settled, watch } from "./server.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let server, chrome, state;

before(async () => {
  [server, chrome] = await Promise.all([demo(), browser()]);
  ({ state } = await setUpQuickly(server));
});

after(async () => {
  await chrome?.close();
  await server?.stop();
});

test("axe finds nothing serious on any page, in both themes", async (t) => {
  const waiting = [...pages];
  const faults = [];
  const look = async (page, name, theme, rules) => {
    // Only what is violated is written up: the rest costs most of the time.
    const { violations } = await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(rules)}, resultTypes: ["violations"], preload: false })`);
    for (const v of violations.filter((v) => v.impact === "serious" || v.impact === "critical")) faults.push(`${name} ${theme}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} ${n.failureSummary?.split("\n")[1] ?? ""}`).join(" | ")}`);
  };
  const worker = async () => {
    const context = await chrome.newContext({ storageState: state, viewport: { width: 1440, height: 900 }, locale: "en", timezoneId: "Asia/Seoul", reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    watch(page, server.url, faults);
    for (let p = waiting.shift(); p !== undefined; p = waiting.shift()) {
      const begun = performance.now();
      await page.emulateMedia({ colorScheme: "light" });
      await page.goto(server.url + p.path);
      await settled(page);
      if (p.act) {
        await p.act(page);
        await settled(page);
      }
      for (const fault of await page.locator('#page [role="alert"]').allInnerTexts()) faults.push(`${p.name} shows a fault: ${fault.replaceAll("\n", " ")}`);
      await page.evaluate(axe);
      await look(page, p.name, "light", ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
      // The themes differ in colours alone.
      await page.emulateMedia({ colorScheme: "dark" });
      await page.waitForFunction(() => document.documentElement.dataset.mantineColorScheme === "dark" && document.getAnimations().every((a) => a.playState !== "running"));
      await look(page, p.name, "dark", ["color-contrast"]);
      t.diagnostic(`${p.name}: ${Math.round(performance.now() - begun)} ms`);
    }
    await context.close();
  };
  await Promise.all([worker(), worker()]);
  assert.deepEqual(faults, []);
});
