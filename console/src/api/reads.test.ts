import { afterEach, expect, test, vi } from "vitest";

import { noteRead, readsOfPage } from "./reads";

afterEach(() => vi.unstubAllGlobals());

test("the calls of the page that is open, each once, are told as commands", () => {
  const at = (pathname: string) => vi.stubGlobal("window", { location: { pathname, origin: "http://kyra" } });
  at("/alerts");
  noteRead("GET", "/api/v1/alerts?size=1");
  noteRead("GET", "/api/v1/session");
  noteRead("POST", "/api/v1/siem/search", { query: "a" });
  noteRead("GET", "/api/v1/alerts?size=1");
  expect(readsOfPage().split("\n")).toEqual([
    `curl -X POST 'http://kyra/api/v1/siem/search' -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{"query":"a"}'`,
    `curl 'http://kyra/api/v1/alerts?size=1' -H "Authorization: Bearer $KEY"`,
  ]);
  at("/rules");
  expect(readsOfPage()).toBe("");
  noteRead("GET", "/api/v1/siem/rules");
  expect(readsOfPage()).toContain("/siem/rules");
  expect(readsOfPage()).not.toContain("alerts");

  // Back where everything was read already, and away until it is forgotten.
  at("/alerts");
  expect(readsOfPage()).toContain("/api/v1/alerts?size=1");
  for (let i = 0; i < 20; i++) {
    at(`/rules/${i}`);
    noteRead("GET", `/api/v1/siem/rules/${i}`);
  }
  at("/alerts");
  expect(readsOfPage()).toBe("");
});
