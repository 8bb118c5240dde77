import { expect, test } from "vitest";

import { nameOf } from "./keys";

const press = (key: string, more: Partial<KeyboardEvent> = {}) => nameOf({ key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("names keys alike on every board", () => {
  expect(press("j")).toBe("j");
  expect(press("J", { shiftKey: true })).toBe("shift+j");
  expect(press("?", { shiftKey: true })).toBe("?");
  expect(press("k", { ctrlKey: true })).toBe("mod+k");
  expect(press("k", { metaKey: true })).toBe("mod+k");
  expect(press("ㅓ", { code: "KeyJ" })).toBe("j");
  expect(press("Process", { code: "KeyJ" })).toBe("j");
  expect(press("ArrowDown")).toBe("ArrowDown");
  expect(press("Enter", { shiftKey: true })).toBe("shift+Enter");
});
