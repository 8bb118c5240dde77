import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { Problem } from "~/api/problem";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { useSession } from "~/api/session";

export type SavedView = Schema<"ViewItem">;

type Said = { saved: (name: string) => string; removed: (name: string) => string; shared: (name: string) => string; unshared: (name: string) => string; unsharedOf: (name: string, owner: string) => string };

/** The views of a list that this person saved and that others share. Those that only this
 *  browser kept, in local storage under kyra.<before>, move to the server once. */
export function useViews(kind: SavedView["kind"], said: Said, before?: { name: string; read: (kept: unknown) => { name: string; query: string }[] }) {
  const act = useAct();
  const { tenant } = useSession();
  const q = useQuery({ queryKey: ["views", kind], staleTime: 60_000, queryFn: ({ signal }) => answer(client.GET("/api/v1/views", { params: { query: { kind } }, signal })) });
  const moved = useRef(false);
  useEffect(() => {
    const key = before && `kyra.${before.name}`;
    const kept = key ? localStorage.getItem(key) : null;
    if (!q.data || tenant.demo || moved.current || !before || !key || kept === null) return;
    moved.current = true;
    let list: { name: string; query: string }[] = [];
    try {
      list = before.read(JSON.parse(kept));
    } catch {
      // Nothing that could be moved.
    }
    // One whose name is taken is there already, and one that the server does not take will
    // never be; after any other fault the next visit tries again.
    const settled = (r: PromiseSettledResult<unknown>) => r.status === "fulfilled" || (r.reason instanceof Problem && [400, 409, 422].includes(r.reason.status));
    void Promise.allSettled(list.map((v) => send({ method: "POST", url: "/api/v1/views", body: { kind, ...v } }))).then((all) => {
      if (all.every(settled)) localStorage.removeItem(key);
      void queries.invalidateQueries({ queryKey: ["views", kind] });
    });
  }, [q.data, tenant.demo, before, kind]);
  const renews = [["views", kind]];
  const url = (v: SavedView) => `/api/v1/views/${v.id}`;
  return {
    views: q.data?.views ?? [],
    /** Saves what is seen now; under a name of one's own that is there already, in its place. */
    save: async (name: string, query: string, shared: boolean) => {
      const same = q.data?.views.find((v) => v.own && v.name.toLowerCase() === name.toLowerCase());
      const got = same
        ? await act({ call: { method: "PATCH", url: url(same), body: { query, shared } }, undo: { method: "PATCH", url: url(same), body: { query: same.query, shared: same.shared } }, done: said.saved(name), renews })
        : await act({ call: { method: "POST", url: "/api/v1/views", body: { kind, name, query, shared } }, done: said.saved(name), renews });
      return got !== undefined;
    },
    remove: (v: SavedView) => act({ call: { method: "DELETE", url: url(v) }, undo: v.own ? { method: "POST", url: "/api/v1/views", body: { kind, name: v.name, query: v.query, shared: v.shared } } : undefined, done: said.removed(v.name), renews }),
    share: (v: SavedView) =>
      act({
        call: { method: "PATCH", url: url(v), body: { shared: !v.shared } },
        // A colleague's that is no longer shared is out of reach: only its owner can share it again.
        undo: v.own ? { method: "PATCH", url: url(v), body: { shared: v.shared } } : undefined,
        done: !v.shared ? said.shared(v.name) : v.own ? said.unshared(v.name) : said.unsharedOf(v.name, v.owner),
        renews,
      }),
  };
}
