import { expect, test } from "vitest";

import { queries } from "~/api/queries";

import { rowsShown, showAhead, type AlertRow } from "./data";

const list = (query: string, at: number, rows: { id: string; status: string; priority: number }[]) =>
  queries.setQueryData(["alerts", "list", query], { pages: [{ content: rows as unknown as AlertRow[], totalElements: rows.length, totalPages: 1 }], pageParams: [0] }, { updatedAt: at });
const priority = (id: string) => (rowsShown().find((r) => r.id === id) as unknown as { priority: number } | undefined)?.priority;

test("an alert is told as the newest list has it, whichever was asked for first", () => {
  list("old", 1_000, [{ id: "a", status: "OPEN", priority: 10 }, { id: "b", status: "OPEN", priority: 20 }]);
  list("new", 2_000, [{ id: "a", status: "OPEN", priority: 90 }]);
  expect([priority("a"), priority("b")]).toEqual([90, 20]);
  list("old", 3_000, [{ id: "a", status: "OPEN", priority: 55 }]);
  expect([priority("a"), priority("b")]).toEqual([55, undefined]);
});

test("what is shown ahead of the server makes no list newer, and goes again", () => {
  list("old", 1_000, [{ id: "a", status: "OPEN", priority: 10 }]);
  list("new", 2_000, [{ id: "a", status: "OPEN", priority: 90 }]);
  const takeBack = showAhead(new Set(["a"]), { status: "RESOLVED" });
  expect(rowsShown().map((r) => r.status)).toEqual(["RESOLVED", "RESOLVED"]);
  expect(priority("a")).toBe(90);
  takeBack();
  expect(rowsShown().map((r) => r.status)).toEqual(["OPEN", "OPEN"]);
  expect(priority("a")).toBe(90);
});
