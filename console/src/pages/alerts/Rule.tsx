import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { answer, client } from "~/api/client";
import { Problem } from "~/api/problem";
import { Raw } from "~/parts/Raw";
import { Empty, Failed, Loading, Partial } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";

import css from "./alerts.module.css";
import type { Alert } from "./data";

/** The rule that raised it: what it says, and how it has fared. */
export default function Rule({ alert }: { alert: Alert }) {
  const t = useText("alerts");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["rules", "one", alert.rule.id], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}", { params: { path: { id: alert.rule.id } }, signal })), staleTime: 60_000 });
  if (q.isPending) return <Loading />;
  if (q.error instanceof Problem && q.error.status === 404) return <Empty title={t("ruleOff")} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const r = q.data;
  const facts: [string, number][] = [[t("matches"), r.matches24h], [t("matches30"), r.matches30d], [t("truePositives"), r.truePositives], [t("falsePositives"), r.falsePositives]];
  return (
    <div className={css.tab}>
      <div className={css.tabBar}>
        <b>
          <Raw text={r.name} />
        </b>
        <Link to={`/rules/${r.id}`}>{t("openRule")}</Link>
      </div>
      {r.description ? (
        <p className="dim">
          <Raw text={r.description} />
        </p>
      ) : null}
      {r.healthReason ? <Partial>{r.healthReason}</Partial> : null}
      <dl className={css.figures}>
        {facts.map(([label, n]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{n.toLocaleString(language)}</dd>
          </div>
        ))}
      </dl>
      <h3>{t("ruleText")}</h3>
      <pre className={css.code} tabIndex={0}>
        <Raw text={r.yaml} />
      </pre>
    </div>
  );
}
