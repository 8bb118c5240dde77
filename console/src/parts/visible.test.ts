import { expect, test } from "vitest";

import { pieces, visible } from "./visible";

test("shows what would act or hide", () => {
  const cases: [string, string][] = [
    ["plain 한국어 text", "plain 한국어 text"],
    ["two\nlines\tand a tab", "two\nlines\tand a tab"],
    ["user\u202egnp.exe", "user⟨RLO⟩gnp.exe"],
    ["\u001b[31mred\u001b[0m", "⟨ESC⟩[31mred⟨ESC⟩[0m"],
    ["pay\u200bpal\u00ad.com", "pay⟨ZWSP⟩pal⟨SHY⟩.com"],
    ["nul\u0000 bell\u0007 cr\r", "nul⟨NUL⟩ bell⟨BEL⟩ cr⟨CR⟩"],
    ["c1 \u0085 csi \u009b", "c1 ⟨U+0085⟩ csi ⟨U+009B⟩"],
    ["tag \u{e0041}", "tag ⟨U+E0041⟩"],
    ["half \ud83d and \ude00", "half ⟨U+D83D⟩ and ⟨U+DE00⟩"],
    ["whole 😀", "whole 😀"],
    ["<script>alert(1)</script>", "<script>alert(1)</script>"],
  ];
  for (const [given, want] of cases) expect(visible(given), given).toBe(want);
});

test("pieces lose nothing", () => {
  const text = "a\u202eb\u001bc";
  expect(pieces(text).map((p) => p.text).join("")).toBe(text);
  expect(pieces(text).map((p) => p.mark)).toEqual([undefined, "RLO", undefined, "ESC", undefined]);
  expect(pieces("")).toEqual([]);
});
