import { Button } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { answer, client } from "~/api/client";
import { EventLine } from "~/parts/EventFields";
import { Raw } from "~/parts/Raw";
import { Partial } from "~/parts/States";
import { Strip } from "~/parts/Strip";
import { Value } from "~/parts/Value";
import { useText } from "~/text/text";
import { duration, exact, useZone } from "~/time/time";
import { Time } from "~/time/Time";

import css from "./alerts.module.css";
import type { Alert } from "./data";
import { Changes } from "./History";

/** Who did what, how often, since when, what makes it odd; then when, who, and the rest. */
export function Story({ alert, onAll }: { alert: Alert; onAll: () => void }) {
  const t = useText("alerts");
  const words = useText("words");
  useZone();
  const rule = useQuery({ queryKey: ["rules", "one", alert.rule.id], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}", { params: { path: { id: alert.rule.id } }, signal })), staleTime: 60_000, retry: false });
  const span = (Date.parse(alert.lastSeen) - Date.parse(alert.firstSeen)) / 1000;
  return (
    <div className={css.story}>
      <section>
        <p className={css.lead}>
          {t("story.times", { n: alert.occurrences })} {span < 1 ? t("story.at", { at: exact(alert.firstSeen) }) : `${t("story.span", { from: exact(alert.firstSeen), to: exact(alert.lastSeen) })}, ${t("story.seen", { span: duration(span) })}`}.{" "}
          {t("story.by", { rule: alert.rule.name })}{" "}
          {rule.data ? (
            <>
              {rule.data.alerts <= 1 ? t("story.first") : t("story.often", { n: rule.data.matches30d })} {rule.data.falsePositives > 0 ? t("story.noise", { n: rule.data.falsePositives }) : null}
            </>
          ) : null}
        </p>
        {alert.folded ? <Partial>{t("story.storm", { n: alert.folded.entities })}</Partial> : null}
        {alert.eventsError ? <Partial>{alert.eventsError}</Partial> : null}
      </section>
      <section>
        <h3>{t("timeline")}</h3>
        <Strip times={alert.events.map((e) => Date.parse(e.timestamp))} from={Date.parse(alert.firstSeen)} to={Date.parse(alert.lastSeen)} />
      </section>
      <section>
        <h3>{words("entities")}</h3>
        <Entities alert={alert} />
      </section>
      <section>
        <h3>{t("details")}</h3>
        <dl className={css.details}>
          <dt>{words("rule")}</dt>
          <dd>
            <Link to={`/rules/${alert.rule.id}`}>
              <Raw text={alert.rule.name} />
            </Link>
          </dd>
          {alert.mitreTechnique ? (
            <>
              <dt>ATT&CK</dt>
              <dd>
                <Value field="mitre" value={alert.mitreTechnique} /> <span className="dim">{alert.mitreTactic}</span>
              </dd>
            </>
          ) : null}
          <dt>{words("source")}</dt>
          <dd>
            <Value field="source" value={alert.source} />
          </dd>
          <dt>{t("incident")}</dt>
          <dd>{alert.incidentId ? <Link to={`/incidents/${alert.incidentId}`}>{t("openIncident")}</Link> : <span className="dim">{t("none")}</span>}</dd>
          <dt>{t("created")}</dt>
          <dd>
            <Time at={alert.createdAt} exactly />
          </dd>
          <dt>{t("id")}</dt>
          <dd>
            <Value field="id" value={alert.id} className="mono" />
          </dd>
        </dl>
      </section>
      <section>
        <h3>{words("events")}</h3>
        <div className={css.lines}>
          {alert.events.slice(0, 5).map((e) => (
            <EventLine key={e.id} event={e} />
          ))}
        </div>
        {alert.eventsTotal > 5 ? (
          <Button size="compact-xs" variant="subtle" onClick={onAll}>
            {t("eventsOf", { n: Math.min(5, alert.events.length), total: alert.eventsTotal })} →
          </Button>
        ) : null}
      </section>
      <section>
        <h3>{t("tab.history")}</h3>
        <Changes alert={alert} most={6} />
      </section>
    </div>
  );
}

const riskTypes: Record<string, string> = { ip: "address", user: "identity", host: "asset" };

/** Each with its risk and how many other alerts name it. */
function Entities({ alert }: { alert: Alert }) {
  const t = useText("alerts");
  const shown = alert.entities.slice(0, 8);
  const others = useQueries({
    queries: shown.map((e) => ({
      queryKey: ["alerts", "naming", e.value.toLowerCase()],
      queryFn: () => answer(client.GET("/api/v1/alerts", { params: { query: { entity: e.value, size: 1 } } })),
      staleTime: 60_000,
    })),
  });
  const risks = useQueries({
    queries: shown.map((e) => ({
      queryKey: ["risk", e.type, e.value.toLowerCase()],
      queryFn: () => answer(client.GET("/api/v1/risk-intelligence", { params: { query: { entityType: [riskTypes[e.type] as "asset"], search: e.value, size: 10 } as never } })),
      staleTime: 60_000,
      enabled: riskTypes[e.type] !== undefined,
    })),
  });
  return (
    <ul className={css.known}>
      {shown.map((e, i) => {
        const risk = risks[i]?.data?.content.find((r) => r.entity.toLowerCase() === e.value.toLowerCase());
        const more = (others[i]?.data?.totalElements ?? 1) - 1;
        return (
          <li key={e.field + e.value}>
            <span className="dim">{e.field}</span>
            <Value field={e.field} value={e.value} className={css.knownValue} />
            <span className={css.knownFacts}>
              {risk && risk.score > 0 ? (
                <span className={css.risk} data-level={risk.level}>
                  {t("risk", { score: Math.round(risk.score) })}
                </span>
              ) : null}
              {others[i]?.data ? (
                more > 0 ? (
                  <Link to="/alerts" search={{ entity: e.value, status: "any" } as never}>
                    {t("otherAlerts", { n: more })}
                  </Link>
                ) : (
                  <span className="dim">{t("noOther")}</span>
                )
              ) : null}
            </span>
          </li>
        );
      })}
      {alert.entities.length > 8 ? alert.entities.slice(8).map((e) => (
        <li key={e.field + e.value}>
          <span className="dim">{e.field}</span>
          <Value field={e.field} value={e.value} className={css.knownValue} />
          <span />
        </li>
      )) : null}
    </ul>
  );
}
