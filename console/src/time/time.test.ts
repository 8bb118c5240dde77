import { expect, test } from "vitest";

import { duration, exact, relative } from "./time";

test("exact writes the zone's time", () => {
  expect(exact("2026-04-22T08:15:00Z", "Asia/Seoul")).toBe("2026-04-22 17:15:00");
  expect(exact("2026-04-22T15:00:00Z", "Asia/Seoul")).toBe("2026-04-23 00:00:00");
});

test("relative chooses the unit", () => {
  const now = Date.parse("2026-04-22T08:15:00Z");
  expect(relative("2026-04-22T08:14:30Z", now, "en")).toBe("30s ago");
  expect(relative("2026-04-22T06:15:00Z", now, "en")).toBe("2h ago");
  expect(relative("2026-04-20T08:15:00Z", now, "ko")).toBe("그저께");
});

test("duration keeps two units", () => {
  expect(duration(8040, "en")).toBe("2h 14m");
  expect(duration(0, "en")).toBe("0s");
  expect(duration(86_400 * 3, "en")).toBe("3d");
});
