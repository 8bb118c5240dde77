import { startTransition, useEffect, useRef, useState } from "react";

import { send } from "~/api/send";

import { searchCall, type Result, type StoredEvent } from "./data";

const every = 1_000;
const most = 2_000;
/** Events are found a little after they happened: each round looks back so far. */
const overlap = 15_000;

/** Follows new events of a query. What came since the last look is added in front, each
 *  event once, and no more than 2,000 are held. */
export function useTail(query: string, on: boolean): { events: StoredEvent[]; missed: number; error: unknown } {
  const [events, setEvents] = useState<StoredEvent[]>([]);
  const [missed, setMissed] = useState(0);
  const [error, setError] = useState<unknown>();
  const seen = useRef(new Set<string>());
  useEffect(() => {
    if (!on) return;
    const stop = new AbortController();
    const known = seen.current;
    known.clear();
    setEvents([]);
    setMissed(0);
    const begun = Date.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      if (!document.hidden)
        try {
          const now = Date.now();
          const got = await send<Result>(searchCall({ query, from: Math.max(begun - overlap, now - overlap - 60_000), to: now + 60_000 }, { limit: 1_000 }), stop.signal);
          setError(undefined);
          const fresh = got.events.filter((e) => !known.has(e.id));
          for (const e of fresh) known.add(e.id);
          if (got.nextCursor !== null && fresh.length === got.events.length && known.size > fresh.length) setMissed((n) => n + 1);
          // Keys and scrolling go before what comes in.
          if (fresh.length > 0) startTransition(() => setEvents((before) => [...fresh, ...before].slice(0, most)));
          // Ids are forgotten in the order in which they came: memory stays bounded.
          for (const id of known) {
            if (known.size <= most * 4) break;
            known.delete(id);
          }
        } catch (fault) {
          if (stop.signal.aborted) return;
          setError(fault);
        }
      timer = setTimeout(() => void look(), every);
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [query, on]);
  return { events, missed, error };
}
