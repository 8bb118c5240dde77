// Starts the built program as a user would, on a free port and in a folder that is
// removed again, and makes the first account.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "playwright-core";

const binary = resolve(process.env.KYRA ?? join(import.meta.dirname, "../../bin/kyra"));

export const account = { name: "Kim Ji-woo", email: "jiwoo@example.org", password: "a quiet river at night" };

/** An empty server: url, key (its first API key), setup (the link's path). */
export async function serve() {
  const folder = mkdtempSync(join(tmpdir(), "kyra-browser-"));
  const child = start(["serve", "--data", folder, "--listen", "127.0.0.1:0", "--syslog-tcp", "", "--syslog-udp", ""]);
  const stop = () => end(child, folder);
  try {
    const url = await said(child, /API +(http:\S+?)\/api\/v1/, /^ready$/m);
    return { url, key: readFileSync(join(folder, "first-key"), "utf8").trim(), setup: `/setup#${readFileSync(join(folder, "setup-link"), "utf8").trim().split("#")[1]}`, stop };
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

/** Notes what must never happen on any page: faults, refused content, other hosts. */
export function watch(page, url, faults) {
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    // Answers that are no success are the page's to show; the browser only repeats them.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) faults.push(`${page.url()} asked another host: ${request.url()}`);
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

export async function send(server, lines) {
  const response = await fetch(`${server.url}/api/v1/ingest`, { method: "POST", headers: { Authorization: `Bearer ${server.key}` }, body: lines.join("\n") });
  if (!response.ok) throw new Error(`ingest: ${response.status} ${await response.text()}`);
}

export async function api(server, path, init = {}) {
  const response = await fetch(server.url + path, { ...init, headers: { Authorization: `Bearer ${server.key}`, ...(init.body ? { "Content-Type": "application/json" } : {}) } });
  return response.json();
}
