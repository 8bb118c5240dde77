import { expect, test } from "vitest";

import { measured } from "./data";

test("shares are told in percent, other measures with their unit", () => {
  expect(measured(0.1379, "ratio", "en")).toBe("14 %");
  expect(measured(1, "ratio", "en")).toBe("100 %");
  expect(measured(1234.5, "days", "en")).toBe("1,234.5 days");
  expect(measured(3, null, "en")).toBe("3");
});
