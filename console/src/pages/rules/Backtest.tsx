import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { send } from "~/api/send";
import { Chart, colours } from "~/parts/Chart";
import { Rows } from "~/parts/Facts";
import { Job } from "~/parts/Job";
import { Raw } from "~/parts/Raw";
import { Empty, Failed, Partial } from "~/parts/States";
import { Value, ValueMenu } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { exact } from "~/time/time";
import { useUrl } from "~/url/url";

import css from "./rules.module.css";

const spans = ["1", "7", "14", "30", "90"] as const;

/** What the rule would have found in the events that are kept: long work, that goes on when the page is left. */
export function Backtest({ yaml, changed, id }: { yaml: string; changed: boolean; id: string | undefined }) {
  const t = useText("rules");
  const language = useLanguage();
  const url = useUrl();
  const [days, setDays] = useState("7");
  const [fault, setFault] = useState<unknown>();
  const jobId = url.get("job");
  const q = useQuery({ queryKey: ["jobs", jobId], enabled: jobId !== undefined, queryFn: ({ signal }) => answer(client.GET("/api/v1/jobs/{id}", { params: { path: { id: jobId! } }, signal })) });
  const got = q.data?.state === "DONE" ? (q.data.result as Schema<"BacktestResult"> | null) : null;
  const start = () => {
    setFault(undefined);
    const subject = changed || id === undefined ? { rule: yaml } : { ruleId: id };
    const fromTime = new Date(Date.now() - Number(days) * 86_400_000).toISOString();
    send<Schema<"JobDetail">>({ method: "POST", url: "/api/v1/siem/rules/backtest", body: { ...subject, fromTime } }).then((job) => url.set({ job: job.id }, { replace: true }), setFault);
  };
  const bars = got?.byDay ?? [];
  return (
    <section className={css.editor}>
      <div className={css.says}>
        <Select size="xs" w={160} aria-label={t("span")} allowDeselect={false} data={spans.map((d) => ({ value: d, label: t("days", { n: Number(d) }) }))} value={days} onChange={(d) => setDays(d ?? "7")} />
        <Button size="xs" onClick={start}>
          {t("backtest")}
        </Button>
        {changed ? <span className="dim">{t("asWritten")}</span> : null}
      </div>
      {fault ? <Failed error={fault} /> : null}
      {jobId && !got ? <Job key={jobId} id={jobId} label={t("tab.backtest")} onEnd={() => void q.refetch()} /> : null}
      {jobId === undefined && !fault ? <Empty title={t("backtestNone")}>{t("backtestWhy")}</Empty> : null}
      {got ? (
        <>
          <p className={css.numbers} role="status">
            <span>
              <b>{got.matches.toLocaleString(language)}</b> {t("matches")}
            </span>
            <span>
              <b>{got.alerts.toLocaleString(language)}</b> {t("alertsWould")}
            </span>
            <span>
              <b>{got.excepted.toLocaleString(language)}</b> {t("excepted")}
            </span>
            <span className="dim">
              {t("read", { n: got.eventsRead })} {exact(got.from)} – {exact(got.to)}
            </span>
          </p>
          {got.partial ? <Partial>{visible(got.partial)}</Partial> : null}
          {(got.notes ?? []).map((n) => (
            <Partial key={n}>{visible(n)}</Partial>
          ))}
          {bars.length > 0 ? (
            <Chart
              label={t("perDay")}
              height={160}
              table={() => ({ head: [t("day"), t("matches"), t("alertsWould")], rows: bars.map((d) => [d.day, d.matches, d.alerts]) })}
              option={() => {
                const c = colours();
                const axis = { axisLabel: { color: c.dim }, axisLine: { lineStyle: { color: c.line } }, splitLine: { lineStyle: { color: c.line } } };
                return {
                  animation: false,
                  grid: { left: 48, right: 8, top: 12, bottom: 24 },
                  tooltip: { trigger: "axis", renderMode: "richText" },
                  xAxis: { type: "category", data: bars.map((d) => d.day.slice(0, 10)), ...axis, splitLine: { show: false } },
                  yAxis: { type: "value", minInterval: 1, ...axis },
                  series: [{ type: "bar", name: t("matches"), data: bars.map((d) => d.matches), itemStyle: { color: c.accent }, barMaxWidth: 32 }],
                };
              }}
            >
              <h2>{t("perDay")}</h2>
            </Chart>
          ) : null}
          <ValueMenu>
            {(
              [
                ["host", got.byHost],
                ["user", got.byUser],
              ] as const
            ).map(([field, rows]) =>
              rows?.length ? <Rows key={field} label={t(`by.${field}`)} head={[t(`by.${field}`), t("matches")]} rows={rows.slice(0, 10).map((r) => ({ key: r.value, cells: [<Value key="v" field={field} value={r.value} />, r.matches.toLocaleString(language)] }))} /> : null,
            )}
          </ValueMenu>
          {got.samples?.length ? <Rows label={t("samples")} head={[t("at"), t("by.host"), t("samples")]} rows={got.samples.map((s) => ({ key: s.id, cells: [<time key="t">{exact(s.time)}</time>, <b key="h"><Raw text={s.host} /></b>, <Raw key="m" text={s.message} className="mono" />] }))} /> : null}
        </>
      ) : null}
    </section>
  );
}
