import { Button, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useCallback, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useMay } from "~/api/session";
import { Chart, colours } from "~/parts/Chart";
import { Facts, Rows } from "~/parts/Facts";
import { Raw } from "~/parts/Raw";
import { Severity, type SeverityName } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import { fieldOf, Level } from "./Risk";

/** One score: what makes it, point by point, and how it went. */
export function RiskContent({ id }: { id: string }) {
  const t = useText("risk");
  const forms = useText("forms");
  const parts = useText("parts");
  const words = useText("words");
  const language = useLanguage();
  const act = useAct();
  const may = useMay("risk:write");
  const q = useQuery({ queryKey: ["risk", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/risk-intelligence/{id}", { params: { path: { id } }, signal })) });
  const [notes, setNotes] = useState<string>();
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const r = q.data;
  if (!r) return <Loading rows={6} />;
  const n = (v: number) => v.toLocaleString(language, { maximumFractionDigits: 2 });
  const change = (body: object, undo: object) => act({ call: { method: "PATCH", url: `/api/v1/risk-intelligence/${id}`, body }, undo: { method: "PATCH", url: `/api/v1/risk-intelligence/${id}`, body: undo }, done: forms("saved"), renews: [["risk"]] });
  return (
    <>
      <section>
        <h2>
          <Value field={fieldOf(r.entityType)} value={r.entity} />
        </h2>
        {may ? (
          <div style={{ margin: "8px 0" }}>
            <Button size="compact-xs" variant="default" onClick={() => void change({ watched: !r.watched }, { watched: r.watched })}>
              {r.watched ? t("unwatch") : t("watch")}
            </Button>
          </div>
        ) : null}
        <Facts
          of={[
            [t("score"), <b>{n(r.score)}</b>],
            [t("level"), <Level of={r.level} />],
            [t("trend"), r.trend.toLocaleString(language, { signDisplay: "exceptZero", maximumFractionDigits: 1 })],
            [t("kind"), t(`kind.${r.entityType}`)],
            [t("worth"), r.worth.factor === 1 ? null : `× ${n(r.worth.factor)}${r.worth.reason ? ` · ${visible(r.worth.reason)}` : ""}`],
            [t("lastAlert"), <Time at={r.lastSeen} />],
            [t("computed"), <Time at={r.computedAt} />],
          ]}
        />
      </section>
      {r.history.length > 1 ? (
        <section>
          <h2>{t("history")}</h2>
          <History of={r.history} />
        </section>
      ) : null}
      <section>
        <h2>{t("what")}</h2>
        <Rows
          label={t("what")}
          head={[t("points"), words("severity"), t("alert"), t("factors"), words("time")]}
          rows={[
            ...r.explained.map((p) => ({
              key: p.kind + p.alertId,
              cells: [
                <b>{n(p.points)}</b>,
                <Severity of={p.severity as SeverityName} bare />,
                <Link to={`/alerts/${p.alertId}` as "/"}>
                  <Raw text={p.title} />
                </Link>,
                <span className="dim">{t("factorsOf", { severity: n(p.factors.severity), confidence: n(p.factors.confidence), verdict: n(p.factors.verdict), occurrences: n(p.factors.occurrences), decay: n(p.factors.decay), indicator: n(p.factors.indicator) })}</span>,
                <Time at={p.lastSeen} />,
              ],
            })),
            ...(r.others.count > 0 ? [{ key: "others", cells: [<b>{n(r.others.points)}</b>, "", t("others", { n: r.others.count }), "", ""] }] : []),
          ]}
        />
      </section>
      <section>
        <h2>{t("notes")}</h2>
        <Textarea aria-label={t("notes")} autosize minRows={2} maxRows={8} readOnly={!may} value={notes ?? r.notes} onChange={(e) => setNotes(e.currentTarget.value)} />
        {notes !== undefined && notes !== r.notes ? (
          <Button size="xs" style={{ marginTop: 8 }} onClick={() => void change({ notes }, { notes: r.notes }).then(() => setNotes(undefined))}>
            {parts("save")}
          </Button>
        ) : null}
      </section>
    </>
  );
}

/** The highest score of each day, the oldest first. */
function History({ of }: { of: Schema<"RiskDay">[] }) {
  const t = useText("risk");
  const option = useCallback(() => {
    const c = colours();
    const days = of.slice(0, 90).reverse();
    return {
      animation: false,
      grid: { left: 32, right: 8, top: 8, bottom: 24 },
      xAxis: { type: "category" as const, data: days.map((d) => d.day), axisLabel: { color: c.dim }, axisLine: { lineStyle: { color: c.line } } },
      yAxis: { type: "value" as const, min: 0, max: 100, axisLabel: { color: c.dim }, splitLine: { lineStyle: { color: c.line } } },
      tooltip: { trigger: "axis" as const, renderMode: "richText" as const },
      series: [{ type: "line" as const, name: t("highest"), data: days.map((d) => d.highest), showSymbol: false, lineStyle: { color: c.accent }, itemStyle: { color: c.accent } }],
    };
  }, [of, t]);
  return <Chart label={t("history")} height={140} option={option} table={() => ({ head: [t("day"), t("highest"), t("last")], rows: of.map((d) => [d.day, d.highest, d.last]) })} />;
}
