// Verifies what a receiver of webhooks was sent, with the library of Standard Webhooks:
// a file of [{secret, headers, body, good}].
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

for (const { name, secret, headers, body, good } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  let verified = true;
  try {
    const payload = new Webhook(secret).verify(body, headers);
    if (typeof payload.event !== "string") throw new Error("no event");
  } catch (e) {
    verified = false;
    if (good) console.error(`${name}: ${e.message}`);
  }
  if (verified !== good) {
    console.error(`${name}: verified is ${verified}, want ${good}`);
    process.exitCode = 1;
  }
}
