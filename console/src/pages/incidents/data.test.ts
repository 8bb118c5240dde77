import { expect, test } from "vitest";

import { needsReason, titleOf } from "./data";

test("one step forward needs no reason", () => {
  expect(needsReason("OPEN", "CONTAINED")).toBe(false);
  expect(needsReason("RECOVERED", "CLOSED")).toBe(false);
  expect(needsReason("OPEN", "CLOSED")).toBe(true);
  expect(needsReason("CONTAINED", "OPEN")).toBe(true);
});

test("that a rule opened it is said once", () => {
  expect(titleOf({ title: "[Auto] Web Shell Command" })).toBe("Web Shell Command");
  expect(titleOf({ title: "About [Auto] things" })).toBe("About [Auto] things");
  expect(titleOf({ title: "[Auto] " })).toBe("[Auto] ");
});
