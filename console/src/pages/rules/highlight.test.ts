import { expect, test } from "vitest";

import { piecesOf, proseOf } from "./highlight";

const kinds = (line: string) => piecesOf(line).filter((p) => p.text.trim() !== "").map((p) => `${p.kind}:${p.text.trim()}`);

test("fields, modifiers and values", () => {
  expect(kinds("    CommandLine|contains|all: 'a: b # c' # why")).toEqual(["key:CommandLine", "modifier:|contains|all", "mark::", "string:'a: b # c'", "comment:# why"]);
  expect(kinds("  - EventID: 4625")).toEqual(["mark:-", "key:EventID", "mark::", "number:4625"]);
  expect(kinds("  - http://example.org/#x")).toEqual(["mark:-", "plain:http://example.org/#x"]);
});

test("a condition's words", () => {
  expect(kinds("  condition: all of sel_* and not filter")).toEqual(["key:condition", "mark::", "word:all", "word:of", "plain:sel_*", "word:and", "word:not", "plain:filter"]);
});

test("the pieces are the line again, whatever it is", () => {
  for (const line of ["", "   ", "'open", '"a\\', "a:b", "- - x: 'y''z'", "한국어: 값", "# only", "-", ":", "- :", "key:    \t", "|-", "\u202e: x"]) expect(piecesOf(line).map((p) => p.text).join("")).toBe(line);
});

test("a block of text has no keys", () => {
  const lines = ["description: |", "  Gives the rights of root: by sudo", "", "    deeper: still text", "references:", "  - >-", "    one: text", "  - two: key", "selection|contains: 'x |'"];
  expect(proseOf(lines)).toEqual([false, true, true, true, false, false, true, false, false]);
});
