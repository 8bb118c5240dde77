import { useQuery, type QueryKey } from "@tanstack/react-query";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import type { Call } from "~/api/send";
import type { Sort } from "~/parts/DataTable";
import type { Url } from "~/url/url";

type Triage = Schema<"AlertTriage">;
export type AlertRow = Pick<Schema<"AlertItem">, "id" | "title" | "severity" | "status" | "source" | "mitreTactic" | "mitreTechnique" | "createdAt" | "description"> & {
  /** What lists add; an alert by itself has all but its priority, which is against others. */
  triage?: Pick<Triage, "ruleId" | "ruleName" | "occurrences" | "firstSeen" | "lastSeen" | "updatedAt" | "assignedTo" | "incidentId" | "verdict" | "storm" | "entities"> & { priority?: Triage["priority"] };
};
export type Alert = Schema<"AlertDetail">;
export type Status = AlertRow["status"];
export type Verdict = "TRUE_POSITIVE" | "FALSE_POSITIVE" | "BENIGN" | "INCONCLUSIVE";
export type Change = { status?: Status; assignedTo?: string | null; verdict?: Verdict | null; note?: string };

export const statuses: Status[] = ["OPEN", "IN_PROGRESS", "RESOLVED", "FALSE_POSITIVE"];
export const verdicts: Verdict[] = ["TRUE_POSITIVE", "FALSE_POSITIVE", "BENIGN", "INCONCLUSIVE"];

/** What the address filters by; without a status it is the queue: what waits. */
export const filterNames = ["search", "severity", "status", "source", "mitre", "ruleId", "entity", "assignedTo"] as const;

export function filterOf(url: Url): Record<string, string[] | string> {
  const query: Record<string, string[] | string> = {};
  for (const name of filterNames) {
    const values = url.all(name);
    if (values.length > 0) query[name] = values;
  }
  const status = url.all("status");
  if (status.length === 0) query.status = ["OPEN", "IN_PROGRESS"];
  else if (status.includes("any")) delete query.status;
  return query;
}

/** What to look at first: see priority in the API's document. */
export const standardSort: Sort = { by: "priority", up: false };

export function sortOf(url: Url): Sort {
  const by = url.get("sort");
  return by === undefined ? standardSort : { by, up: url.get("direction") === "asc" };
}

export function useAlerts(filter: Record<string, string[] | string>, sort: Sort) {
  return usePages<AlertRow>({
    key: ["alerts", "list", filter, sort],
    load: (page, signal) => answer(client.GET("/api/v1/alerts", { params: { query: { ...filter, sort: sort.by, direction: sort.up ? "asc" : "desc", size: 100, page, include: ["triage"] } as never }, signal })),
  });
}

export function useAlert(id: string) {
  return useQuery({ queryKey: ["alerts", "one", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/alerts/{id}", { params: { path: { id } }, signal })), staleTime: 2_000 });
}

export function changeCall(ids: string[], change: Change): Call {
  return ids.length === 1 ? { method: "PATCH", url: `/api/v1/alerts/${ids[0]}`, body: change } : { method: "POST", url: "/api/v1/alerts/bulk", body: { ids, ...change } };
}

type Pages = { pages: { content: AlertRow[]; totalElements: number; totalPages: number; number: number }[]; pageParams: unknown[] };

/** Shows a change in every list before the server has answered; the returned function takes it back. */
export function showAhead(ids: ReadonlySet<string>, change: Change): () => void {
  const before = queries.getQueriesData<Pages>({ queryKey: ["alerts", "list"] });
  // No list becomes newer by it: what the server says of the rest is as old as before.
  const put = (key: QueryKey, data: Pages | undefined) => queries.setQueryData(key, data, { updatedAt: queries.getQueryState(key)?.dataUpdatedAt ?? 0 });
  for (const [key, data] of before) {
    if (data === undefined) continue;
    const row = (r: AlertRow): AlertRow => {
      if (!ids.has(r.id)) return r;
      const next = { ...r, ...(change.status ? { status: change.status } : {}) };
      if (r.triage) next.triage = { ...r.triage, ...("assignedTo" in change ? { assignedTo: change.assignedTo ?? null } : {}), ...("verdict" in change ? { verdict: change.verdict ?? null } : {}) };
      return next;
    };
    put(key, { ...data, pages: data.pages.map((p) => ({ ...p, content: p.content.map(row) })) });
  }
  return () => {
    for (const [key, data] of before) put(key, data);
  };
}

/** The alerts of every list that was read, those of the newest list first. */
export function rowsShown(): AlertRow[] {
  return queries
    .getQueryCache()
    .findAll({ queryKey: ["alerts", "list"] })
    .sort((x, y) => y.state.dataUpdatedAt - x.state.dataUpdatedAt)
    .flatMap((q) => (q.state.data as Pages | undefined)?.pages.flatMap((p) => p.content) ?? []);
}
