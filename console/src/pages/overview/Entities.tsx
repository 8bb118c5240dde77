import { useQuery } from "@tanstack/react-query";

import { answer, client } from "~/api/client";
import { Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { useText } from "~/text/text";

import { leftOut, Section } from "./Overview";
import css from "./overview.module.css";

const fields = { asset: "host", identity: "user", address: "ip" } as const;

/** Who and what carries the most risk now. */
export function Entities() {
  const t = useText("overview");
  const q = useQuery({ queryKey: ["overview", "risk"], queryFn: ({ signal }) => answer(client.GET("/api/v1/risk-intelligence", { params: { query: { size: 8, sort: "score", direction: "desc", minScore: 1 } as never }, signal })), staleTime: 15_000, retry: false });
  if (q.error && leftOut(q.error)) return null;
  return (
    <Section title={t("risky")}>
      {q.isPending ? <Loading rows={4} /> : null}
      {q.data?.content.length === 0 ? <p className={css.calm}>{t("noRisk")}</p> : null}
      <ul className={css.risks}>
        {q.data?.content.map((r) => (
          <li key={r.id}>
            <Value field={fields[r.entityType]} value={r.entity} className={css.entity} />
            <span className="dim">{t("alertsBehind", { n: r.contributions })}</span>
            <span className={css.meter} data-level={r.level}>
              <i style={{ width: `${r.score}%` }} aria-hidden />
            </span>
            <span className={css.score}>{Math.round(r.score)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
