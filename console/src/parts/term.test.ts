import { expect, test } from "vitest";

import { narrow, term } from "./term";

test("quotes what the language would read otherwise", () => {
  expect(term("user", "root")).toBe("user:root");
  expect(term("src_ip", "2001:db8::1")).toBe('src_ip:"2001:db8::1"');
  expect(term("file", 'C:\\a "b"')).toBe('file:"C:\\\\a \\"b\\""');
  expect(term("word", "NOT")).toBe('word:"NOT"');
  expect(term("user", "root", true)).toBe("NOT user:root");
  expect(term("path", "/etc/*")).toBe('path:"/etc/*"');
});

test("narrows without changing what was meant", () => {
  expect(narrow("", "a:1")).toBe("a:1");
  expect(narrow("b:2", "a:1")).toBe("b:2 AND a:1");
  expect(narrow("b:2 OR c:3", "a:1")).toBe("(b:2 OR c:3) AND a:1");
});
