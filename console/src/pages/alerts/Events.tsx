import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { answer, client } from "~/api/client";
import { EventLine } from "~/parts/EventFields";
import { Failed, Loading, Partial } from "~/parts/States";
import { term } from "~/parts/term";
import { useText } from "~/text/text";

import css from "./alerts.module.css";
import type { Alert } from "./data";

/** Every event that made the alert. */
export default function Events({ alert }: { alert: Alert }) {
  const t = useText("alerts");
  const q = useInfiniteQuery({
    queryKey: ["alerts", "events", alert.id, alert.eventsTotal],
    queryFn: ({ pageParam, signal }) => answer(client.GET("/api/v1/alerts/{id}/events", { params: { path: { id: alert.id }, query: { size: 100, ...(pageParam ? { cursor: pageParam } : {}) } }, signal })),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextCursor ?? undefined,
  });
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const events = q.data.pages.flatMap((p) => p.events);
  const missing = q.data.pages.reduce((n, p) => n + p.missing.length, 0);
  const about = alert.entities.map((e) => term(e.field, e.value)).slice(0, 3).join(" AND ");
  const minute = 60_000;
  return (
    <div className={css.tab}>
      <div className={css.tabBar}>
        <span className="dim">{t("eventsOf", { n: events.length, total: alert.eventsTotal })}</span>
        <Link
          to="/search"
          search={{ ...(about ? { q: about } : {}), from: new Date(Date.parse(alert.firstSeen) - minute).toISOString(), to: new Date(Date.parse(alert.lastSeen) + minute).toISOString() } as never}
        >
          {t("searchThese")}
        </Link>
      </div>
      {missing > 0 ? <Partial>{t("missingEvents", { n: missing })}</Partial> : null}
      <div className={css.lines}>
        {events.map((e, i) => (
          <EventLine key={e.id} event={e} open={i === 0} />
        ))}
      </div>
      {q.hasNextPage ? (
        <Button size="xs" variant="default" loading={q.isFetchingNextPage} onClick={() => void q.fetchNextPage()}>
          {t("loadMore")}
        </Button>
      ) : null}
    </div>
  );
}
