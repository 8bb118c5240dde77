// Measures what docs/performance.md says of the console, and prints it: no test, since
// times depend on the machine and on what else it does.
//   node bench/bars.mjs [load] [pages] [tail]        all of them without arguments
// KYRA_BENCH_ALERTS how many alerts lie behind the pages (5,000,000); KYRA_BENCH_DATA a
// data folder that was filled before, and stays; KYRA_BENCH_TAIL minutes of following (10).
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { browser, serve, setUpQuickly } from "../test/server.mjs";

const wanted = (name) => process.argv.length < 3 || process.argv.includes(name);
const alerts = Number(process.env.KYRA_BENCH_ALERTS ?? 5_000_000);
const minutes = Number(process.env.KYRA_BENCH_TAIL ?? 10);
const given = process.env.KYRA_BENCH_DATA;
const data = given ?? mkdtempSync(join(tmpdir(), "kyra-bars-"));
const say = (...what) => console.log(...what);
const sorted = (list) => [...list].sort((a, b) => a - b);
const at = (list, share) => sorted(list)[Math.min(list.length - 1, Math.floor(list.length * share))] ?? NaN;
const ms = (n) => `${Math.round(n)} ms`;

say(`${new Date().toISOString().slice(0, 16)}Z, ${cpus().length} × ${cpus()[0].model}, load ${loadavg().map((n) => n.toFixed(1)).join(" ")}`);

if (!existsSync(join(data, "kyra.db"))) {
  await (await serve({ data })).stop();
  say(`filling ${alerts.toLocaleString("en")} alerts into ${data}`);
  execFileSync("go", ["test", "-count=1", "-timeout", "90m", "-run", "^TestFill$", "./internal/alert/alerttest"], { cwd: resolve(import.meta.dirname, "../.."), env: { ...process.env, KYRA_FILL_DATABASE: `sqlite:${join(data, "kyra.db")}`, KYRA_FILL_ALERTS: String(alerts) }, stdio: "inherit" });
}

const server = await serve({ data });
const chrome = await browser();
try {
  const { state } = await signedIn();
  const context = () => chrome.newContext({ storageState: state, viewport: { width: 1440, height: 900 }, locale: "en", timezoneId: "Asia/Seoul" });
  if (wanted("load")) await load(context);
  if (wanted("pages")) await pages(context);
  if (wanted("tail")) await tail(context);
} finally {
  await chrome.close();
  await server.stop();
  if (!given) rmSync(data, { recursive: true, force: true });
}

/** A session that outlasts the run: in a folder that was used before, of a new person. */
async function signedIn() {
  if (existsSync(join(data, "setup-link"))) return setUpQuickly(server);
  const email = `bars-${Date.now()}@example.org`;
  const password = "rain on a tin roof";
  const call = async (path, body) => {
    const response = await fetch(server.url + path, { method: "POST", headers: { Authorization: `Bearer ${server.key}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  execFileSync(resolve(process.env.KYRA ?? join(import.meta.dirname, "../../bin/kyra")), ["user", "add", "--data", data, "--email", email, "--name", "Bars", "--role", "Admin", "--password-stdin"], { input: password });
  const [name, value] = (await call("/api/v1/session", { email, password })).headers.getSetCookie()[0].split(";")[0].split("=");
  return { state: { cookies: [{ name, value, domain: new URL(server.url).hostname, path: "/", expires: -1, httpOnly: true, secure: false, sameSite: "Strict" }], origins: [] } };
}

/** From the address to a page that answers: heading there, main thread free for a frame. */
async function load(context) {
  for (const throttle of [1, 4]) {
    const interactive = [];
    const whole = [];
    for (let i = 0; i < 7; i++) {
      const c = await context();
      const page = await c.newPage();
      const cdp = await c.newCDPSession(page);
      await cdp.send("Network.clearBrowserCache");
      if (throttle > 1) await cdp.send("Emulation.setCPUThrottlingRate", { rate: throttle });
      await page.addInitScript(() => {
        const look = () => {
          if (!document.querySelector("#page-head h1")) return requestAnimationFrame(look);
          // A task behind all that is waiting: what is pressed now is answered.
          const channel = new MessageChannel();
          channel.port1.onmessage = () => (window.barInteractive = performance.now());
          requestAnimationFrame(() => channel.port2.postMessage(0));
          const rest = () => (document.querySelector('[role="status"][aria-label="Loading"]') ? requestAnimationFrame(rest) : (window.barWhole = performance.now()));
          requestAnimationFrame(() => requestAnimationFrame(rest));
        };
        requestAnimationFrame(look);
      });
      await page.goto(`${server.url}/`);
      await page.waitForFunction(() => window.barWhole && window.barInteractive, undefined, { timeout: 60_000 });
      const got = await page.evaluate(() => [window.barInteractive, window.barWhole]);
      interactive.push(got[0]);
      whole.push(got[1]);
      await c.close();
    }
    say(`first view from a cold cache${throttle > 1 ? `, CPU ${throttle} times slower` : ""}: interactive ${ms(at(interactive, 0.5))} (${ms(at(interactive, 0))} to ${ms(at(interactive, 1))}), all figures ${ms(at(whole, 0.5))}`);
  }
}

/** From the press on a link of the rail until the other page is there with its rows. */
async function pages(context) {
  const c = await context();
  const page = await c.newPage();
  const slow = new Map();
  page.on("requestfinished", (request) => {
    const { responseEnd, requestStart } = request.timing();
    const url = new URL(request.url());
    if (url.pathname.startsWith("/api/")) slow.set(`${request.method()} ${url.pathname}`, [...(slow.get(`${request.method()} ${url.pathname}`) ?? []), responseEnd - requestStart]);
  });
  await page.goto(`${server.url}/`);
  await page.locator("#page-head h1").waitFor();
  const names = ["Alerts", "Incidents", "Search", "Rules", "Assets", "Risk", "Compliance", "Reports", "Sources", "Settings", "Overview"];
  const took = new Map(names.map((n) => [n, []]));
  for (let round = 0; round < 8; round++)
    for (const name of names) {
      const n = await page.evaluate(async (name) => {
        const link = [...document.querySelectorAll("nav a")].find((a) => a.textContent.trim() === name);
        const before = document.querySelector("#page-head h1");
        const begun = performance.now();
        link.click();
        await new Promise((done) => {
          const look = () => {
            const now = document.querySelector("#page-head h1");
            if (now && now !== before && document.querySelector('[role="status"][aria-label="Loading"]') === null) return done();
            requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        });
        return performance.now() - begun;
      }, name);
      if (round > 0) took.get(name).push(n);
      // What was read is old again after five seconds: each change asks the server anew.
      await page.evaluate(() => new Promise((done) => setTimeout(done, 600)));
    }
  for (const [name, list] of took) say(`change to ${name}: ${ms(at(list, 0.5))}, at worst ${ms(at(list, 1))}`);
  say("calls behind them, the slowest:");
  for (const [path, list] of [...slow].sort((a, b) => at(b[1], 0.5) - at(a[1], 0.5)).slice(0, 12)) say(`  ${path}: ${ms(at(list, 0.5))}, at worst ${ms(at(list, 1))}, ${list.length} times`);
  await c.close();
}

/** Follows 1,000 events a second: frames, and what memory is held after a collection. */
async function tail(context) {
  const c = await context();
  const page = await c.newPage();
  const cdp = await c.newCDPSession(page);
  let sent = 0;
  let stop = false;
  const feeding = (async () => {
    for (let next = Date.now(); !stop; next += 100) {
      const lines = Array.from({ length: 100 }, () => {
        const n = sent++;
        return `<38>1 ${new Date().toISOString()} web-${n % 20} sshd ${n} - - Accepted publickey for user${n % 500} from 10.${n % 4}.${n % 250}.${(n * 7) % 250} port ${n % 60000} ssh2`;
      });
      await fetch(`${server.url}/api/v1/ingest`, { method: "POST", headers: { Authorization: `Bearer ${server.key}` }, body: lines.join("\n") });
      await new Promise((done) => setTimeout(done, Math.max(0, next + 100 - Date.now())));
    }
  })();
  try {
    await page.goto(`${server.url}/search?q=program:sshd&tail=1`);
    await page.locator('[role="table"] [role="row"]').nth(5).waitFor({ timeout: 60_000 });
    const begun = Date.now();
    const heap = async () => {
      await cdp.send("HeapProfiler.collectGarbage");
      await cdp.send("HeapProfiler.collectGarbage");
      return (await cdp.send("Runtime.getHeapUsage")).usedSize / 1e6;
    };
    const frames = () =>
      page.evaluate(
        () =>
          new Promise((done) => {
            const gaps = [];
            const first = performance.now();
            let last = first;
            const one = (now) => {
              gaps.push(now - last);
              last = now;
              if (now - first < 20_000) requestAnimationFrame(one);
              else done(gaps);
            };
            requestAnimationFrame(one);
          }),
      );
    for (const minute of [2, 6, 10].map((m) => (m * minutes) / 10)) {
      await new Promise((done) => setTimeout(done, Math.max(0, begun + minute * 60_000 - 25_000 - Date.now())));
      const from = sent;
      const gaps = await frames();
      const dropped = gaps.reduce((sum, g) => sum + Math.max(0, Math.round(g / (1000 / 60)) - 1), 0);
      const rows = await page.evaluate(() => document.querySelector('[role="table"]').getAttribute("aria-rowcount"));
      say(`following, minute ${minute}: ${Math.round((sent - from) / 20)} events/s, ${gaps.length / 20} frames/s, frame ${at(gaps, 0.5).toFixed(1)} ms, p95 ${at(gaps, 0.95).toFixed(1)} ms, at worst ${at(gaps, 1).toFixed(0)} ms, ${dropped} of ${dropped + gaps.length} dropped; heap ${(await heap()).toFixed(1)} MB, ${rows} rows, load ${loadavg()[0].toFixed(1)}`);
    }
  } finally {
    stop = true;
    await feeding;
    await c.close();
  }
}
