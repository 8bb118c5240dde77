import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

import { fill } from "./text";

const folder = import.meta.dirname;
const read = (language: string, file: string): Record<string, string> => JSON.parse(readFileSync(join(folder, language, file), "utf8")) as Record<string, string>;
const files = readdirSync(join(folder, "en"));
const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();

for (const language of ["ko", "ja"])
  test(`${language} has every text`, () => {
    expect(readdirSync(join(folder, language)).sort()).toEqual([...files].sort());
    for (const file of files) {
      const en = read("en", file);
      const there = read(language, file);
      // Korean and Japanese know no plural: _one may be left out.
      const needed = Object.keys(en).filter((k) => !k.endsWith("_one"));
      expect(needed.filter((k) => !there[k]?.trim()), `missing in ${language}/${file}`).toEqual([]);
      expect(Object.keys(there).filter((k) => !(k in en)), `not in en/${file}`).toEqual([]);
      for (const [key, text] of Object.entries(there)) expect(places(text), `${language}/${file} ${key}`).toEqual(places(en[key]!));
    }
  });

test("every file of texts is named in texts.ts", () => {
  const list = readFileSync(join(folder, "texts.ts"), "utf8");
  for (const file of files) expect(list).toContain(`${basename(file, ".json")}: typeof import("./en/${file}")`);
});

test("fill writes numbers as the language does and leaves what it does not know", () => {
  expect(fill("{n} of {all}", { n: 1234 }, "en")).toBe("1,234 of {all}");
  expect(fill("{name}", { name: "{n}" }, "en")).toBe("{n}");
});
