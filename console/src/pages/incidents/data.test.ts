import { expect, test } from "vitest";

import { needsReason } from "./data";

test("one step forward needs no reason", () => {
  expect(needsReason("OPEN", "CONTAINED")).toBe(false);
  expect(needsReason("RECOVERED", "CLOSED")).toBe(false);
  expect(needsReason("OPEN", "CLOSED")).toBe(true);
  expect(needsReason("CONTAINED", "OPEN")).toBe(true);
});
