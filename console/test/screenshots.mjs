// Takes pictures of every page in both themes at three widths: to be looked at.
//   node test/screenshots.mjs [FOLDER] [PART-OF-A-NAME]
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pages } from "./pages.mjs";
import { browser, demo, setUp } from "./server.mjs";

const folder = process.argv[2] || mkdtempSync(join(tmpdir(), "kyra-screenshots-"));
const part = process.argv[3] ?? "";
mkdirSync(folder, { recursive: true });
const sizes = { wide: [1440, 900], laptop: [1280, 800], phone: [390, 844] };

const server = await demo();
const chrome = await browser();
try {
  const first = await chrome.newContext();
  await setUp(await first.newPage(), server);
  const state = await first.storageState();
  await first.close();
  for (const theme of ["light", "dark"])
    for (const [size, [width, height]] of Object.entries(sizes)) {
      const context = await chrome.newContext({ storageState: state, viewport: { width, height }, colorScheme: theme, locale: process.env.LANGUAGE_OF_PAGES ?? "en", timezoneId: "Asia/Seoul" });
      const page = await context.newPage();
      for (const p of pages) {
        if (!p.name.includes(part)) continue;
        await page.goto(server.url + p.path);
        await page.waitForLoadState("networkidle").catch(() => {});
        if (p.act && !(size === "phone" && p.name === "keyboard")) await p.act(page).catch((error) => console.error(`${p.name} ${size}: ${error.message.split("\n")[0]}`));
        await page.waitForTimeout(400);
        await page.screenshot({ path: join(folder, `${p.name}-${size}-${theme}.png`) });
      }
      await context.close();
    }
} finally {
  await chrome.close();
  await server.stop();
}
console.log(folder);
