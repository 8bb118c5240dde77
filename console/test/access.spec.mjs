// Ways in beside the password: passkeys of a virtual authenticator, an identity provider
// that runs here, and a directory.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { account, browser, call, serve, setUpQuickly, settled, until, watch } from "./server.mjs";

const faults = [];
let server, chrome, admin, idp;

before(async () => {
  [server, chrome, idp] = await Promise.all([serve(), browser(), identityProvider()]);
  admin = await setUpQuickly(server);
});

after(async () => {
  await chrome?.close();
  await server?.stop();
  idp?.server.close();
});

/** An OpenID Connect server that signs in whoever comes as what claims says. */
async function identityProvider() {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const codes = new Map();
  const own = { claims: {} };
  const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  own.server = createServer((request, response) => {
    const url = new URL(request.url, own.url);
    const json = (value, status = 200) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    if (url.pathname === "/.well-known/openid-configuration")
      return json({ issuer: own.url, authorization_endpoint: `${own.url}/authorize`, token_endpoint: `${own.url}/token`, jwks_uri: `${own.url}/keys`, id_token_signing_alg_values_supported: ["RS256"], code_challenge_methods_supported: ["S256"] });
    if (url.pathname === "/keys") return json({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }] });
    if (url.pathname === "/authorize") {
      const q = url.searchParams;
      const code = randomBytes(12).toString("hex");
      codes.set(code, { nonce: q.get("nonce"), challenge: q.get("code_challenge") });
      const back = new URL(q.get("redirect_uri"));
      back.searchParams.set("code", code);
      back.searchParams.set("state", q.get("state"));
      return response.writeHead(302, { Location: back.href }).end();
    }
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => {
      const q = new URLSearchParams(body);
      const asked = codes.get(q.get("code"));
      codes.delete(q.get("code"));
      if (asked === undefined || createHash("sha256").update(q.get("code_verifier")).digest("base64url") !== asked.challenge) return json({ error: "invalid_grant" }, 400);
      const now = Math.floor(Date.now() / 1000);
      const signed = `${part({ alg: "RS256", kid: "1" })}.${part({ iss: own.url, aud: "kyra", iat: now, exp: now + 300, nonce: asked.nonce, ...own.claims })}`;
      json({ access_token: "a", token_type: "Bearer", id_token: `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}` });
    });
  });
  await new Promise((done) => own.server.listen(0, "127.0.0.1", done));
  own.url = `http://127.0.0.1:${own.server.address().port}`;
  return own;
}

async function open(state, url = server.url) {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 900 }, locale: "en", storageState: state });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  watch(page, url, faults, [idp.url]);
  return { context, page, url };
}

test("an Admin adds an identity provider, and a new person signs in there", async () => {
  const { page, context } = await open(admin.state);
  await page.goto(`${server.url}/settings/sso`);
  await page.getByRole("button", { name: "New identity provider" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Name", { exact: false }).first().fill("Acme");
  assert.match(await form.getByRole("textbox", { name: "Redirect URI" }).inputValue(), /\/signin\/sso\/acme$/);
  await form.getByLabel("Issuer").fill(`${idp.url}/nothing`);
  await form.getByRole("button", { name: "Test" }).click();
  await form.getByText("Metadata").waitFor();
  await form.getByLabel("Issuer").fill(idp.url);
  await form.getByRole("button", { name: "Test" }).click();
  await form.getByText("1 keys that signatures can be checked with").waitFor();
  await form.getByLabel("Client ID").fill("kyra");
  await form.getByRole("button", { name: "Add a row" }).click();
  await form.getByLabel("Value of the claim 1").fill("soc");
  await form.getByRole("button", { name: "Create" }).click();
  await page.getByRole("cell", { name: "Acme", exact: true }).waitFor();
  await context.close();

  const visitor = await open();
  idp.claims = { sub: "1", email: "hana@example.org", email_verified: true, name: "Hana Kim" };
  await visitor.page.goto(`${server.url}/incidents`);
  await visitor.page.getByRole("button", { name: "Sign in with Acme" }).click();
  await visitor.page.getByRole("alert").getByText("no group of yours gives you a role").waitFor();
  assert.equal(new URL(visitor.page.url()).search, "", "the answer stays in the address");
  await visitor.page.getByRole("button", { name: "Back to sign-in" }).click();
  idp.claims.groups = ["soc"];
  await visitor.page.goto(`${server.url}/incidents`);
  await visitor.page.getByRole("button", { name: "Sign in with Acme" }).click();
  await visitor.page.waitForURL("**/incidents");
  await settled(visitor.page);
  await visitor.page.getByRole("button", { name: "Signed in as Hana Kim" }).waitFor();

  // A tile in the provider's portal.
  await visitor.context.clearCookies();
  await visitor.page.goto(`${server.url}/signin?sso=acme`);
  await visitor.page.waitForURL(`${server.url}/`);
  await visitor.context.close();
});

test("single sign-on alone leaves one Admin the password", async () => {
  const { page, context } = await open(admin.state);
  await page.goto(`${server.url}/settings/sso`);
  await page.getByRole("switch", { name: "Single sign-on only" }).click();
  await page.getByRole("dialog").getByText("Passwords and passkeys then open nothing").waitFor();
  assert.equal((await call(server, "/api/v1/settings/sso", { session: admin })).body.only, false, "it was not asked for first");
  await page.getByRole("dialog").getByRole("button", { name: "Turn it on" }).click();
  await page.locator('[aria-live="polite"]').getByText("Saved").first().waitFor();
  const got = await call(server, "/api/v1/settings/sso", { session: admin });
  assert.equal(got.body.only, true);
  await page.getByRole("switch", { name: "Single sign-on only" }).click();
  await page.waitForFunction(() => !document.querySelector('input[type="checkbox"][role="switch"]')?.checked);
  await context.close();
});

test("PCI DSS's rules of signing in loosen nothing that is stricter", async () => {
  const policy = async () => (await call(server, "/api/v1/settings/sign-in", { session: admin })).body;
  const { secondFactorRequired, longestHours, passwordHistory, passwordKinds, lockAttempts, lockMinutes } = await policy();
  const was = { secondFactorRequired, longestHours, passwordHistory, passwordKinds, lockAttempts, lockMinutes };
  const { page, context } = await open(admin.state);
  // But for the second factor, which this Admin has not set up: nothing would be open to them.
  let asked;
  await page.route("**/api/v1/settings/sign-in", (route) => {
    if (route.request().method() !== "PUT") return route.continue();
    asked = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify({ ...asked, secondFactorRequired: false }) });
  });
  for (const [idle, history, expected] of [[10, 12, { idleMinutes: 10, passwordHistory: 12 }], [60, 0, { idleMinutes: 15, passwordHistory: 4 }]]) {
    assert.equal((await call(server, "/api/v1/settings/sign-in", { method: "PUT", body: { ...was, idleMinutes: idle, passwordHistory: history }, session: admin })).status, 200);
    await page.goto(`${server.url}/settings/security`);
    await page.getByRole("button", { name: "PCI DSS" }).click();
    await page.locator('[aria-live="polite"]').getByText("Saved").first().waitFor();
    assert.equal(asked.secondFactorRequired, true);
    const now = await policy();
    for (const [key, value] of Object.entries({ ...expected, passwordKinds: true, lockMinutes: 30 })) assert.equal(now[key], value, key);
    await page.getByRole("button", { name: "Undo" }).click();
    await until("taken back", async () => (await policy()).idleMinutes === idle);
  }
  assert.equal((await call(server, "/api/v1/settings/sign-in", { method: "PUT", body: { ...was, idleMinutes: 480 }, session: admin })).status, 200);
  await context.close();
});

test("a directory's token is made, and provisions somebody", async () => {
  const { page, context } = await open(admin.state);
  await page.goto(`${server.url}/settings/sso`);
  await page.getByRole("button", { name: "Make a token" }).click();
  const shown = page.getByRole("dialog");
  const token = await shown.getByRole("textbox", { name: "Token of the directory" }).inputValue();
  const base = await shown.getByRole("textbox", { name: "Base address" }).inputValue();
  const response = await fetch(`${base}/Users`, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/scim+json" }, body: JSON.stringify({ userName: "jun@example.org", displayName: "Jun Park", active: true }) });
  assert.equal(response.status, 201);
  await page.goto(`${server.url}/settings/team`);
  await page.getByText("Jun Park").waitFor();
  await context.close();
});

test("a passkey is added, signs in, and is asked for beside the password", async () => {
  const url = server.url.replace("127.0.0.1", "localhost"); // passkeys belong to a host name
  const { page, context } = await open(undefined, url);
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", { options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  const password = async () => {
    await page.goto(`${url}/signin?to=%2Fsettings%2Fsecurity`);
    await page.locator('input[name="email"]').fill(account.email);
    await page.locator('input[name="password"]').fill(account.password);
    await page.locator('button[type="submit"]').click();
  };
  await password();
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Laptop");
  await page.getByRole("dialog").getByLabel("Present password").fill(account.password);
  await page.getByRole("dialog").getByRole("button", { name: "Next" }).click();
  const codes = (await page.getByRole("dialog").getByRole("textbox", { name: "Recovery codes" }).inputValue()).split(" ");
  assert.equal(codes.length, 10);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("cell", { name: "Laptop", exact: true }).waitFor();

  await context.clearCookies();
  await password();
  await page.getByLabel("Recovery code").waitFor();
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.waitForURL("**/settings/security");

  await context.clearCookies();
  await password();
  await page.getByLabel("Recovery code").fill(codes[3]);
  await page.locator('button[type="submit"]').click();
  await page.waitForURL("**/settings/security");
  await page.getByText("9 recovery codes are left").waitFor();
  await page.getByRole("button", { name: "Remove Laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("rests on the password alone").waitFor();
  await context.close();
});

test("nothing went wrong on the way", () => assert.deepEqual(faults, []));
