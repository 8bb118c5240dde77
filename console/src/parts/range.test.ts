import { expect, test } from "vitest";

import { parseLocal, rangeOf } from "./range";

const iso = (n: number | undefined) => (n === undefined ? undefined : new Date(n).toISOString());

test("reads the zone's time", () => {
  expect(iso(parseLocal("2026-04-22 17:15", "Asia/Seoul"))).toBe("2026-04-22T08:15:00.000Z");
  expect(iso(parseLocal("2026-07-01 12:00:30", "Europe/Berlin"))).toBe("2026-07-01T10:00:30.000Z");
  expect(iso(parseLocal("2026-03-29 03:30", "Europe/Berlin"))).toBe("2026-03-29T01:30:00.000Z");
  expect(iso(parseLocal("2026-04-22T08:15:00Z", "Asia/Seoul"))).toBe("2026-04-22T08:15:00.000Z");
  expect(parseLocal("2026-02-31", "UTC")).toBeUndefined();
  expect(parseLocal("yesterday", "UTC")).toBeUndefined();
});

test("a range of the address, or the last day", () => {
  const of = (query: Record<string, string>) => rangeOf({ get: (n) => query[n] }, "24h", 1_000_000_000_000);
  expect(of({})).toEqual({ from: 1_000_000_000_000 - 86_400_000, to: 1_000_000_000_000, span: "24h" });
  expect(of({ last: "15m" }).span).toBe("15m");
  expect(of({ last: "9y" }).span).toBe("24h");
  expect(of({ from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" })).toEqual({ from: Date.UTC(2026, 0, 1), to: Date.UTC(2026, 0, 2) });
  expect(of({ from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" }).span).toBe("24h");
});
