import { expect, test } from "vitest";

import { fitting } from "./fitting";

const columns = [
  { id: "severity", width: "88px" },
  { id: "title", width: "minmax(200px, 1fr)" },
  { id: "event", width: "200px", from: 640 },
  { id: "at", width: "104px" },
];
const at = (width: number) => fitting(columns, width).columns.map((c) => c.id);

test("nothing of a table lies beyond its edge", () => {
  expect(at(0)).toEqual(["severity", "title", "event", "at"]); // not measured yet
  expect(at(800)).toEqual(["severity", "title", "event", "at"]);
  expect(fitting(columns, 392).tracks).toEqual(["88px", "minmax(200px, 1fr)", "104px"]);
  expect(fitting(columns, 370)).toMatchObject({ columns: [{ id: "severity" }, { id: "title" }, { id: "at" }], tracks: ["88px", "minmax(96px, 1fr)", "104px"] });
  expect(at(280)).toEqual(["severity", "title"]);
  expect(at(60)).toEqual(["severity"]);
});

test("a flexible track that is narrow already stays as it is", () => {
  expect(fitting([{ width: "minmax(80px, 1fr)" }, { width: "300px" }], 390).tracks).toEqual(["minmax(80px, 1fr)", "300px"]);
  expect(fitting([{ width: "minmax(80px, 1fr)" }, { width: "minmax(300px, 400px)" }], 300).tracks).toEqual(["minmax(80px, 1fr)", "minmax(96px, 400px)"]);
});
