import { expect, test } from "vitest";

import { offersAt, take } from "./complete";
import { placeOf } from "./data";

const fields = [{ name: "user", topValues: [{ value: "root" }, { value: "kim ji" }] }, { name: "src_ip", topValues: [{ value: "10.0.0.1" }] }, { name: "target_user", topValues: [] }];
const at = (q: string) => offersAt(q, q.length, fields);

test("offers what may come next", () => {
  expect(at("")?.list).toEqual(["user", "src_ip", "target_user"]);
  expect(at("us")?.list).toEqual(["user", "target_user"]);
  expect(at("user:")?.list).toEqual(["root", "kim ji"]);
  expect(at("user:ro")?.list).toEqual(["root"]);
  expect(at('user:"kim j')?.list).toEqual(["kim ji"]);
  expect(at("user:root ")?.list).toEqual(["AND", "OR", "NOT"]);
  expect(at("user:root AND ")?.list).toEqual(["user", "src_ip", "target_user"]);
  expect(at("nothing:x")).toBeUndefined();
  expect(at('"a phrase')).toBeUndefined();
});

test("takes an offer", () => {
  expect(take("us", at("us")!, "user")).toEqual({ query: "user:", at: 5 });
  expect(take("user:k", at("user:k")!, "kim ji")).toEqual({ query: 'user:"kim ji" ', at: 14 });
  expect(take("user:root ", at("user:root ")!, "AND")).toEqual({ query: "user:root AND ", at: 14 });
});

test("reads where a fault lies", () => {
  expect(placeOf("At character 6: this opening bracket has no closing one")).toBe(5);
  expect(placeOf("something else")).toBeUndefined();
});
