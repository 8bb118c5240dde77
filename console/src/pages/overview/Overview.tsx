import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";

import { answer, client } from "~/api/client";
import { useChanges } from "~/api/changes";
import { Problem } from "~/api/problem";
import { queries } from "~/api/queries";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { Raw } from "~/parts/Raw";
import { SeverityMark } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { TimeRange } from "~/parts/TimeRange";
import { useText } from "~/text/text";
import { zoneNow } from "~/time/time";
import { Time } from "~/time/Time";

import type { AlertRow } from "../alerts/data";
import { Entities } from "./Entities";
import { FirstEvent } from "./FirstEvent";
import { Health } from "./Health";
import css from "./overview.module.css";
import { Trend } from "./Trend";

/** What needs a person now, what goes on, and what cannot be seen. */
export default function Overview() {
  const t = useText("overview");
  const alerts = useMay("alerts:read");
  const sources = useMay("sources:read");
  useChanges((changes) => {
    if (changes.some((c) => c.kind === "alert" || c.kind === "incident")) void queries.invalidateQueries({ queryKey: ["overview"] });
  });
  const known = useQuery({ queryKey: ["overview", "known"], queryFn: ({ signal }) => answer(client.GET("/api/v1/log-sources", { params: { query: { size: 1 } }, signal })), enabled: sources, refetchInterval: (q) => (q.state.data?.totalElements === 0 ? 2_000 : false) });
  // Once begun, the first steps stay until the page is left: their end is the event itself.
  const [first, setFirst] = useState(false);
  if (known.data?.totalElements === 0 && !first) setFirst(true);
  return (
    <>
      <PageHead title={t("title")}>
        <TimeRange />
      </PageHead>
      <div className={css.page}>
        {first ? <FirstEvent /> : null}
        {alerts ? <Numbers /> : null}
        <div className={css.columns}>
          <div className={css.main}>
            {alerts ? <Needs /> : null}
            <Trend />
          </div>
          <div className={css.side}>
            <Health />
            <Entities />
          </div>
        </div>
      </div>
    </>
  );
}

function Numbers() {
  const t = useText("overview");
  const stats = useQuery({ queryKey: ["overview", "stats"], queryFn: ({ signal }) => answer(client.GET("/api/v1/alerts/stats", { params: { query: { tz: zoneNow() } }, signal })), staleTime: 10_000 });
  const cases = useQuery({ queryKey: ["overview", "cases"], queryFn: ({ signal }) => answer(client.GET("/api/v1/incidents/stats", { signal })), staleTime: 10_000 });
  const open = (severity: "critical" | "high") => ({
    queryKey: ["overview", "open", severity],
    queryFn: ({ signal }: { signal: AbortSignal }) => answer(client.GET("/api/v1/alerts", { params: { query: { status: ["OPEN"], severity: [severity], size: 1 } as never }, signal })),
    staleTime: 10_000,
  });
  const critical = useQuery(open("critical")).data?.totalElements;
  const high = useQuery(open("high")).data?.totalElements;
  if (stats.error) return <Failed error={stats.error} retry={() => void stats.refetch()} />;
  const s = stats.data;
  const c = cases.data;
  const facts: { label: string; n: number | undefined; to: string; query?: Record<string, string | string[]>; tone?: "bad" | undefined }[] = [
    { label: t("openAlerts"), n: s?.open_alerts, to: "/alerts", query: { status: "OPEN" } },
    { label: t("critical"), n: critical, to: "/alerts", query: { severity: "critical", status: "OPEN" }, tone: critical ? "bad" : undefined },
    { label: t("high"), n: high, to: "/alerts", query: { severity: "high", status: "OPEN" } },
    { label: t("today"), n: s?.alerts_today, to: "/alerts", query: { status: "any", sort: "createdAt", direction: "desc" } },
    { label: t("openIncidents"), n: c?.open, to: "/incidents" },
    { label: t("overdue"), n: c?.overdue, to: "/incidents", query: { view: "table", sort: "slaDueAt", direction: "asc" }, tone: c && c.overdue > 0 ? "bad" : undefined },
    { label: t("unassigned"), n: c?.unassigned, to: "/incidents" },
  ];
  return (
    <ul className={css.numbers}>
      {facts.map((f) => (
        <li key={f.label}>
          <Link to={f.to} search={(f.query ?? {}) as never}>
            <span className={css.number} data-tone={f.tone}>
              <Count n={f.n} />
            </span>
            <span className="dim">{f.label}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Count({ n }: { n: number | undefined }) {
  const t = useText("overview");
  return <>{n === undefined ? "–" : t("n", { n })}</>;
}

/** The first of the queue, as the queue orders them. Alerts of one rule are one line: what a
 *  rule raises a dozen times must not push everything else out of sight. */
function Needs() {
  const t = useText("overview");
  const q = useQuery({
    queryKey: ["overview", "needs"],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/alerts", { params: { query: { status: ["OPEN", "IN_PROGRESS"], sort: "priority", direction: "desc", size: 100, include: ["triage"] } as never }, signal })),
  });
  const groups = useMemo(() => {
    const by = new Map<string, AlertRow[]>();
    for (const a of q.data?.content ?? []) by.set(a.triage?.ruleId ?? a.id, [...(by.get(a.triage?.ruleId ?? a.id) ?? []), a]);
    return [...by.entries()].slice(0, 8);
  }, [q.data]);
  return (
    <Section title={t("needs")} more={<Link to="/alerts">{t("toQueue")}</Link>}>
      {q.isPending ? <Loading rows={5} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {q.data?.content.length === 0 ? <p className={css.calm}>{t("nothingWaits")}</p> : null}
      <ul className={css.list}>
        {groups.map(([rule, those]) => {
          const a = those[0]!;
          const score = a.triage?.priority?.score;
          return (
            <li key={rule} className={css.need}>
              <Link to="/alerts" search={{ open: a.id } as never} className={css.alert}>
                <SeverityMark of={a.severity} />
                <Raw text={a.description || a.title} className={css.cut} />
                {score === undefined ? null : (
                  <span className={css.priority} title={a.triage?.priority?.parts.map((p) => `${p.points > 0 ? "+" : ""}${p.points} ${p.reason}`).join("\n")} aria-label={t("priority", { n: score })}>
                    {score}
                  </span>
                )}
                <Time at={a.triage?.lastSeen ?? a.createdAt} className="dim" />
              </Link>
              {those.length > 1 ? (
                <Link to="/alerts" search={{ ruleId: rule } as never} className={css.more}>
                  {t("groupOf", { n: those.length })}
                </Link>
              ) : null}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

/** A part of the page with its title. */
export function Section({ title, more, children }: { title: string; more?: ReactNode; children: ReactNode }) {
  return (
    <section className={css.section}>
      <div className={css.sectionHead}>
        <h2>{title}</h2>
        {more}
      </div>
      {children}
    </section>
  );
}

/** Whether a part is left out rather than shown as failed: it does not exist here, or is not for this person. */
export function leftOut(error: unknown): boolean {
  return error instanceof Problem && [403, 404, 501].includes(error.status);
}
