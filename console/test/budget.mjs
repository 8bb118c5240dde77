// Fails when what a browser loads before it shows the first page grows over the budget.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const folder = new URL("../../internal/console/dist/", import.meta.url);
const budget = 600_000;
const page = readFileSync(new URL("index.html", folder), "utf8");

const first = new Set([...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((m) => m[1]));
const packed = (name) => gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length;
// What the first page and sign-in need beside the entry: the frame's texts and the page itself.
const more = readdirSync(new URL("assets/", folder)).filter((n) => /^(Overview|PageHead|overview|frame|parts|words|SignIn|Door|signin)-/.test(n));
for (const name of more) first.add(`assets/${name}`);

let total = 0;
for (const name of first) total += packed(name);
const all = readdirSync(new URL("assets/", folder)).reduce((sum, name) => sum + packed(`assets/${name}`), 0);
console.log(`console: first view ${(total / 1000).toFixed(0)} kB, everything ${(all / 1000).toFixed(0)} kB (gzip; budget ${budget / 1000} kB)`);
if (total > budget) {
  console.error("console: the first view is over its budget: load what is not needed at once with import()");
  process.exit(1);
}
