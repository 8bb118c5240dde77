// Starts the built program as a user would, on a free port and in a folder that is
// removed again, makes accounts, and what else more than one browser test needs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "playwright-core";

const binary = resolve(process.env.KYRA ?? join(import.meta.dirname, "../../bin/kyra"));

export const account = { name: "Kim Ji-woo", email: "jiwoo@example.org", password: "a quiet river at night" };

/** A server in a new folder, or in the one that is given and stays: url, key (its first
 *  API key), setup (the link's path), pid. Webhooks may reach this machine. */
export async function serve({ data } = {}) {
  const folder = data ?? mkdtempSync(join(tmpdir(), "kyra-browser-"));
  const child = start(["serve", "--data", folder, "--listen", "127.0.0.1:0", "--syslog-tcp", "", "--syslog-udp", "", "--webhook-allow", "127.0.0.0/8"]);
  const stop = () => end(child, data ? undefined : folder);
  const read = (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8").trim() : "");
  try {
    const url = await said(child, /API +(http:\S+?)\/api\/v1/, /^ready$/m);
    return { url, key: read("first-key"), setup: `/setup#${read("setup-link").split("#")[1]}`, pid: child.pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A server full of a recorded day with an attack in it. */
export async function demo() {
  const before = new Set(readdirSync(tmpdir()));
  const child = start(["demo", "--listen", "127.0.0.1:0"]);
  const stop = () => end(child);
  try {
    const url = await said(child, /(http:\/\/127\.0\.0\.1:\d+)\/api\/v1\/docs/, /The server stays/);
    const folder = readdirSync(tmpdir()).filter((n) => n.startsWith("kyra-demo-") && !before.has(n)).map((n) => join(tmpdir(), n)).find((f) => existsSync(join(f, "setup-link")) && readFileSync(join(f, "setup-link"), "utf8").includes(new URL(url).port));
    const key = /Bearer (kyra_\w+)/.exec(child.output)[1];
    return { url, key, setup: `/setup#${readFileSync(join(folder, "setup-link"), "utf8").trim().split("#")[1]}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function start(args) {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.output += data));
  return child;
}

async function said(child, found, ready) {
  const until = Date.now() + 60_000;
  while (!ready.test(child.output)) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`the server did not start:\n${child.output}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return found.exec(child.output)[1];
}

async function end(child, folder) {
  if (child.exitCode === null) {
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    await gone;
  }
  if (folder) rmSync(folder, { recursive: true, force: true });
}

/** Debian's Chromium, or the one that CHROMIUM names. */
export function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** Notes what must never happen on any page: faults, refused content, other hosts than
 *  those of url and others. */
export function watch(page, url, faults, others = []) {
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    // Answers that are no success are the page's to show; the browser only repeats them.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (![url, ...others].some((one) => request.url().startsWith(one)) && !/^(blob|data):/.test(request.url())) faults.push(`${page.url()} asked another host: ${request.url()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`${page.url()} opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
}

/** Makes the first account through the set-up page and ends on the overview. */
export async function setUp(page, server) {
  await page.goto(server.url + server.setup);
  await page.locator('input[name="name"]').fill(account.name);
  await page.locator('input[name="email"]').fill(account.email);
  await page.locator('input[name="password"]').fill(account.password);
  await page.locator('button[type="submit"]').click();
  await page.waitForURL(`${server.url}/`);
}

/** The same without a browser: the first account, signed in. */
export async function setUpQuickly(server) {
  return signedIn(server, await post(server, "/api/v1/setup", { token: server.setup.split("#")[1], ...account }));
}

/** Somebody of a tenant: invited by who is signed in with session, and signed in. */
export async function invite(server, session, { email, name, role, password = "rain on a tin roof" }) {
  const { link } = await (await post(server, "/api/v1/users", { email, name, role }, session)).json();
  await post(server, "/api/v1/session/link/follow", { token: link.split("#")[1], password, name });
  return { email, password, ...(await signedIn(server, await post(server, "/api/v1/session", { email, password }))) };
}

/** What stands for a session in calls (cookie) and in a browser's context (state). */
function signedIn(server, response) {
  const [name, value] = response.headers.getSetCookie()[0].split(";")[0].split("=");
  const { hostname } = new URL(server.url);
  return { cookie: `${name}=${value}`, state: { cookies: [{ name, value, domain: hostname, path: "/", expires: -1, httpOnly: true, secure: false, sameSite: "Strict" }], origins: [] } };
}

async function post(server, path, body, session) {
  const response = await fetch(server.url + path, { method: "POST", headers: { "Content-Type": "application/json", ...(session ? { Cookie: session.cookie } : {}) }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** Log lines, with the server's key or a token. */
export async function send(server, lines, token = server.key) {
  const response = await fetch(`${server.url}/api/v1/ingest`, { method: "POST", headers: { Authorization: `Bearer ${token}` }, body: lines.join("\n") });
  if (!response.ok) throw new Error(`ingest: ${response.status} ${await response.text()}`);
}

/** A call with the server's key, or as who is signed in with session. */
export async function call(server, path, { method = "GET", body, session } = {}) {
  const who = session ? { Cookie: session.cookie } : { Authorization: `Bearer ${server.key}` };
  const response = await fetch(server.url + path, { method, headers: { ...who, ...(body ? { "Content-Type": "application/json" } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

export async function api(server, path, more) {
  return (await call(server, path, more)).body;
}

/** Asks until the answer is something, and returns it. */
export async function until(what, ask, longest = 30_000) {
  const end = Date.now() + longest;
  for (;;) {
    const got = await ask();
    if (got) return got;
    if (Date.now() > end) throw new Error(`${what}: not within ${longest / 1000} s`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Waits until a page shows what it is to show: nothing loads, nothing moves. */
export async function settled(page) {
  await page.locator("#page-head h1").waitFor();
  await page.waitForFunction(
    (loading) => {
      const busy = document.querySelector(loading.map((l) => `[role="status"][aria-label="${l}"]`).join(",")) !== null || document.getAnimations().some((a) => a.playState === "running" && a.effect?.getComputedTiming().iterations !== Infinity);
      const now = document.body.textContent;
      const same = window.settledText === now && !busy;
      window.settledText = busy ? undefined : now;
      return same;
    },
    ["Loading", "불러오는 중", "読み込み中"],
    { polling: 80 },
  );
}

/** The time of a syslog line, seconds ago. */
export function stamp(ago = 0) {
  const part = new Intl.DateTimeFormat("en", { timeZone: "UTC", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).formatToParts(Date.now() - ago * 1000);
  const of = (type) => part.find((p) => p.type === type).value;
  return `${of("month")} ${of("day").padStart(2, " ")} ${of("hour")}:${of("minute")}:${of("second")}`;
}

/** Failed passwords from an address: an alert, and an incident for root. */
export const bruteForce = (address, user = "root") => Array.from({ length: 8 }, (_, i) => `${stamp(8 - i)} web-01 sshd[${100 + i}]: Failed password for ${user} from ${address} port ${4000 + i} ssh2`);

/** A refused sudo: an alert that no rule escalates. */
export const refused = (user) => `${stamp()} host-${user} sudo: ${user} : command not allowed ; TTY=pts/0 ; PWD=/home/${user} ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx`;

/** The code of an authenticator app (RFC 6238), steps of 30 s from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret.replaceAll(/[\s=]/g, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac("sha1", key).update(counter).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** A receiver of webhooks that keeps what came; check throws unless it is signed. */
export async function receiver() {
  const got = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (d) => (body += d));
    request.on("end", () => {
      got.push({ headers: request.headers, body, event: JSON.parse(body) });
      response.writeHead(204).end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}/soc`,
    got,
    check({ headers, body }, secret) {
      const want = createHmac("sha256", Buffer.from(secret.replace(/^whsec_/, ""), "base64")).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`).digest();
      const signed = headers["webhook-signature"].split(" ").some((one) => one.startsWith("v1,") && Buffer.from(one.slice(3), "base64").length === want.length && timingSafeEqual(Buffer.from(one.slice(3), "base64"), want));
      assert.ok(signed, `signature ${headers["webhook-signature"]} of ${body}`);
      assert.ok(Math.abs(Date.now() / 1000 - headers["webhook-timestamp"]) < 300, "the signature is fresh");
    },
    stop: () => new Promise((done) => {
      server.closeAllConnections();
      server.close(done);
    }),
  };
}

/** The console's texts of a language: t("alerts.escalate"), t("settings.invited", { name }). */
export function texts(language) {
  const files = {};
  return (key, places = {}) => {
    const [file, ...rest] = key.split(".");
    files[file] ??= JSON.parse(readFileSync(join(import.meta.dirname, `../src/text/${language}/${file}.json`), "utf8"));
    const name = rest.join(".");
    const text = (places.n === 1 ? files[file][`${name}_one`] : undefined) ?? files[file][name];
    if (text === undefined) throw new Error(`no text ${key} in ${language}`);
    return text.replaceAll(/\{(\w+)\}/g, (_, place) => String(places[place]));
  };
}
