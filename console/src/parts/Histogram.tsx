import { useCallback, useMemo } from "react";

import type { Schema } from "~/api/client";
import { useLanguage, useText } from "~/text/text";
import { exact, useZone } from "~/time/time";

import { Chart, colours } from "./Chart";
import { severities } from "./Severity";

/** How many events when, by severity; drawing over a part zooms into it. */
export function Histogram({ bars, to, height = 112, onZoom }: { bars: Schema<"HistogramBar">[]; to: number; height?: number; onZoom: (from: number, to: number) => void }) {
  const t = useText("parts");
  const words = useText("words");
  const language = useLanguage();
  const zone = useZone();
  const times = useMemo(() => bars.map((b) => Date.parse(b.time)), [bars]);
  const step = times.length > 1 ? times[1]! - times[0]! : 60_000;
  const label = (at: number) => (step >= 86_400_000 ? exact(at).slice(5, 10) : step >= 60_000 ? exact(at).slice(times.at(-1)! - times[0]! > 86_400_000 ? 5 : 11, 16) : exact(at).slice(11));
  const option = useCallback(() => {
    void zone; // the labels of the axis are written in it
    const c = colours();
    return {
      animation: false,
      grid: { left: 48, right: 8, top: 8, bottom: 22 },
      tooltip: { trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow" }, backgroundColor: c.surface, borderColor: c.line, textStyle: { color: c.text, fontSize: 12 } },
      brush: { xAxisIndex: 0, toolbox: [], brushStyle: { color: "rgba(92,104,220,0.18)", borderColor: c.accent } },
      xAxis: { type: "category", data: times.map(label), axisTick: { show: false }, axisLine: { lineStyle: { color: c.line } }, axisLabel: { color: c.dim, fontSize: 11, hideOverlap: true } },
      yAxis: { type: "value", minInterval: 1, splitNumber: 2, axisLabel: { color: c.dim, fontSize: 11, formatter: (n: number) => Intl.NumberFormat(language, { notation: "compact" }).format(n) }, splitLine: { lineStyle: { color: c.line } } },
      series: [...severities].reverse().map((s) => ({ type: "bar", stack: "all", name: words(`severity.${s}`), barCategoryGap: "12%", large: bars.length > 400, itemStyle: { color: c[s] }, data: bars.map((b) => b.breakdown[s] ?? 0) })),
    };
  }, [bars, times, language, words, zone]);
  return (
    <Chart
      label={t("histogram")}
      height={height}
      onBrush={(a, b) => onZoom(times[Math.max(0, Math.round(a))]!, Math.min(to, times[Math.min(times.length - 1, Math.round(b))]! + step))}
      table={() => ({ head: [words("time"), words("events"), ...severities.map((s) => words(`severity.${s}`))], rows: bars.filter((b) => b.count > 0).map((b) => [exact(b.time), b.count, ...severities.map((s) => b.breakdown[s] ?? 0)]) })}
      option={option}
    />
  );
}
