import { useQueries } from "@tanstack/react-query";

import { answer, client } from "~/api/client";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";

import css from "./alerts.module.css";
import { AlertLink } from "./columns";
import type { Alert } from "./data";

/** Alerts of the same rule, and those that name the same. */
export default function Similar({ alert }: { alert: Alert }) {
  const t = useText("alerts");
  const kinds = [{ title: t("sameRule"), query: { ruleId: alert.rule.id } as Record<string, string> }, ...alert.entities.slice(0, 4).map((e) => ({ title: t("sameEntity", { entity: e.value }), query: { entity: e.value } as Record<string, string> }))];
  const found = useQueries({
    queries: kinds.map((k) => ({ queryKey: ["alerts", "similar", k.query], queryFn: () => answer(client.GET("/api/v1/alerts", { params: { query: { ...k.query, size: 11, sort: "createdAt" as const } as never } })), staleTime: 30_000 })),
  });
  return (
    <div className={css.tab}>
      <p className="dim">{t("similarWhy")}</p>
      {kinds.map((k, i) => {
        const q = found[i]!;
        const rows = (q.data?.content ?? []).filter((r) => r.id !== alert.id).slice(0, 10);
        return (
          <section key={k.title}>
            <h3>{k.title}</h3>
            {q.isPending ? <Loading rows={2} /> : null}
            {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
            {q.data && rows.length === 0 ? <p className="dim">{t("noOther")}</p> : null}
            {rows.map((r) => (
              <AlertLink key={r.id} row={r} />
            ))}
          </section>
        );
      })}
    </div>
  );
}
