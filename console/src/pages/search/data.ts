import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

import type { Schema } from "~/api/client";
import { send, type Call } from "~/api/send";

export type Result = Schema<"SearchResult">;
export type StoredEvent = Schema<"StoredEvent">;
export type Field = Schema<"FieldItem">;

export type Asked = { query: string; from: number; to: number };

export const pageSize = 200;

export function searchCall(asked: Asked, more: { limit: number; cursor?: string }): Call {
  return { method: "POST", url: "/api/v1/siem/search", body: { query: asked.query, fromTime: new Date(asked.from).toISOString(), toTime: new Date(asked.to).toISOString(), ...more } satisfies Schema<"SearchInBody"> };
}

/** Pages of events, the newest first; the first carries total and histogram. */
export function eventsQuery(asked: Asked) {
  return infiniteQueryOptions({
    queryKey: ["search", asked],
    queryFn: ({ pageParam, signal }) => send<Result>(searchCall(asked, { limit: pageSize, ...(pageParam ? { cursor: pageParam } : {}) }), signal),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextCursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
}

export function fieldsQuery(asked: Asked) {
  return queryOptions({
    queryKey: ["search", "fields", asked],
    queryFn: ({ signal }) => send<{ fields: Field[] }>({ method: "POST", url: "/api/v1/siem/search/fields", body: { query: asked.query, fromTime: new Date(asked.from).toISOString(), toTime: new Date(asked.to).toISOString(), limit: 200, values: 8 } satisfies Schema<"FieldsInBody"> }, signal),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
}

/** Where in the query a fault lies, from 0, as the server's message tells. */
export function placeOf(message: string): number | undefined {
  const m = /^At character (\d+):/.exec(message);
  return m ? Number(m[1]) - 1 : undefined;
}
