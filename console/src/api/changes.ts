import { useEffect, useRef, useSyncExternalStore } from "react";

import { answer, client, type Schema } from "./client";
import { Problem } from "./problem";
import { queries } from "./queries";
import { sessionQuery } from "./session";

export type Change = Schema<"ChangeItem">;
export type Live = "live" | "paused" | "lost";

const every = 2_500;
const listeners = new Set<(changes: Change[]) => void>();
const watchers = new Set<() => void>();
let state: Live = "live";
let after = -1;
let of: string | undefined; // the tenant that after counts in: each has numbers of its own
let timer: ReturnType<typeof setTimeout> | undefined;
let running = false;

function become(next: Live) {
  if (next === state) return;
  state = next;
  for (const tell of watchers) tell();
}

const tenantNow = () => queries.getQueryData(sessionQuery.queryKey)?.tenant.id;

// One reader for the whole console: it sleeps while nobody looks.
async function read() {
  timer = undefined;
  if (running) return;
  if (document.hidden) return become("paused");
  running = true;
  let wait = every;
  try {
    if (tenantNow() !== of) {
      of = tenantNow();
      after = -1;
    }
    const got = await answer(client.GET("/api/v1/changes", { params: { query: { after, limit: 500 } } }));
    if (tenantNow() !== of) {
      wait = 0; // what came is another tenant's
      return;
    }
    become("live");
    // What was read before the first answer may lack what came between the two.
    if (after < 0) void queries.invalidateQueries({ predicate: (q) => ["alerts", "incidents"].includes(String(q.queryKey[0])) && q.state.dataUpdatedAt > 0 && q.state.fetchStatus === "idle" });
    after = got.next;
    if (got.changes.length > 0) for (const tell of listeners) tell(got.changes);
    if (got.more) wait = 0;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return; // the sign-in page takes over
    become("lost");
    wait = Math.max(every * 2, error instanceof Problem ? error.retryAfter * 1000 : 0);
  } finally {
    running = false;
    if (listeners.size > 0 && timer === undefined) timer = setTimeout(read, wait);
  }
}

if (typeof document !== "undefined")
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && listeners.size > 0 && timer === undefined) void read();
  });

/** Calls back with every change of the tenant's objects, in order, as they come. */
export function useChanges(onChanges: (changes: Change[]) => void) {
  const latest = useRef(onChanges);
  useEffect(() => {
    latest.current = onChanges;
  });
  useEffect(() => {
    const listener = (changes: Change[]) => latest.current(changes);
    listeners.add(listener);
    if (timer === undefined && !running) void read();
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && timer !== undefined) {
        clearTimeout(timer);
        timer = undefined;
      }
    };
  }, []);
}

/** Whether changes arrive. */
export function useLive(): Live {
  return useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => state,
  );
}
