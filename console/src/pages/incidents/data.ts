import { useQuery } from "@tanstack/react-query";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import type { Sort } from "~/parts/DataTable";
import type { Url } from "~/url/url";

export type Row = Schema<"IncidentItem">;
export type Incident = Schema<"IncidentDetail">;
export type Status = Row["status"];

/** What it is called on a page that says by itself that a rule opened it. */
export function titleOf(incident: { title: string }): string {
  return incident.title.replace(/^\[Auto\] (?=\S)/, "");
}

/** In the order of the work. */
export const statuses: Status[] = ["OPEN", "CONTAINED", "ERADICATED", "RECOVERED", "CLOSED"];
export const dots = { OPEN: "todo", CONTAINED: "doing", ERADICATED: "doing", RECOVERED: "doing", CLOSED: "done" } as const;

export const filterNames = ["search", "severity", "status", "assignedTo", "alertId"] as const;

export function filterOf(url: Url): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const name of filterNames) if (url.all(name).length > 0) query[name] = url.all(name);
  return query;
}

export function sortOf(url: Url): Sort {
  const by = url.get("sort");
  return by === undefined ? { by: "severity", up: false } : { by, up: url.get("direction") === "asc" };
}

export function useIncidents(filter: Record<string, string | string[]>, sort: Sort) {
  return usePages<Row>({
    key: ["incidents", "list", filter, sort],
    load: (page, signal) => answer(client.GET("/api/v1/incidents", { params: { query: { ...filter, sort: sort.by, direction: sort.up ? "asc" : "desc", size: 100, page, include: ["triage"] } as never }, signal })),
  });
}

export function useIncident(id: string) {
  return useQuery({ queryKey: ["incidents", "one", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/incidents/{id}", { params: { path: { id } }, signal })), staleTime: 2_000 });
}

/** A step forward to the next status needs no reason; going back or skipping does. */
export function needsReason(from: Status, to: Status): boolean {
  return statuses.indexOf(to) - statuses.indexOf(from) !== 1;
}

type Pages = { pages: { content: Row[]; totalElements: number; totalPages: number; number: number }[]; pageParams: unknown[] };

/** Moves a card before the server has answered; the returned function moves it back. */
export function moveAhead(id: string, status: Status): () => void {
  const before = queries.getQueriesData<Pages>({ queryKey: ["incidents", "list"] });
  queries.setQueriesData<Pages>({ queryKey: ["incidents", "list"] }, (data) => data && { ...data, pages: data.pages.map((p) => ({ ...p, content: p.content.map((r) => (r.id === id ? { ...r, status } : r)) })) });
  return () => {
    for (const [key, data] of before) queries.setQueryData(key, data);
  };
}
