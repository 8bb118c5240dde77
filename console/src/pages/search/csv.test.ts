import { expect, test } from "vitest";

import { csvOf } from "./csv";

test("writes what a spreadsheet reads, and runs nothing", () => {
  const event = { id: "e0-1", timestamp: "2026-04-22T08:15:00Z", source: "sshd", host: "web-01", severity: "medium" as const, message: 'say "no", twice', fields: { user: "=HYPERLINK(1)", n: "-5", tags: ["a", "b"] } };
  expect(csvOf([event as never]).split("\r\n")).toEqual([
    "id,timestamp,severity,source,host,message,n,tags,user",
    'e0-1,2026-04-22T08:15:00Z,medium,sshd,web-01,"say ""no"", twice",-5,a; b,\'=HYPERLINK(1)',
    "",
  ]);
});
