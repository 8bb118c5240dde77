import { UnstyledButton } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { useEffect, useRef, useState, type ReactNode } from "react";

import { useText } from "~/text/text";

import css from "./chart.module.css";
import type { EChartsType, Option } from "./echarts";

/** The colours of the theme that is on, for a chart's option. */
export function colours(): Record<"text" | "dim" | "line" | "accent" | "critical" | "high" | "medium" | "low" | "info" | "ok" | "bad" | "surface", string> {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: of("--text"), dim: of("--dim"), line: of("--line"), accent: of("--accent"), ok: of("--ok"), bad: of("--bad"), surface: of("--surface"),
    critical: of("--severity-critical"), high: of("--severity-high"), medium: of("--severity-medium"), low: of("--severity-low"), info: of("--chart-info"),
  };
}

export type ChartTable = { head: string[]; rows: (string | number)[][] };

/** A chart, and the same numbers as a table for who cannot see it. option (useCallback) is
 *  asked when it is another function than before, and when the theme changes. onBrush hears which part of the x axis was drawn over. */
export function Chart({ label, height, option, table, onBrush, children }: { label: string; height: number; option: () => Option; table: () => ChartTable; onBrush?: (from: number, to: number) => void; children?: ReactNode }) {
  const t = useText("parts");
  const [asTable, setAsTable] = useState(false);
  return (
    <figure className={css.chart} aria-label={label}>
      <div className={css.bar}>
        {children}
        <UnstyledButton className={css.switch} onClick={() => setAsTable(!asTable)}>
          {asTable ? t("showChart") : t("showTable")}
        </UnstyledButton>
      </div>
      {asTable ? <Table {...table()} height={height} /> : <Drawing label={label} height={height} option={option} onBrush={onBrush} />}
    </figure>
  );
}

function Table({ head, rows, height }: ChartTable & { height: number }) {
  return (
    <div className={css.table} style={{ maxHeight: height }} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((h) => (
              <th key={h} scope="col">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r, i) => (
            <tr key={i}>
              {r.map((c, j) => (
                <td key={j} className={typeof c === "number" ? "number" : undefined}>
                  {typeof c === "number" ? c.toLocaleString() : c}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Drawing({ label, height, option, onBrush }: { label: string; height: number; option: () => Option; onBrush?: ((from: number, to: number) => void) | undefined }) {
  const box = useRef<HTMLDivElement>(null);
  const { ref: sizeRef, width } = useElementSize<HTMLDivElement>();
  const ref = useMergedRef(box, sizeRef);
  const chart = useRef<EChartsType | undefined>(undefined);
  const brush = useRef(onBrush);
  const latest = useRef(option);
  useEffect(() => {
    brush.current = onBrush;
  });
  // Only when there is something else to draw: it would end a brush that is being drawn.
  useEffect(() => {
    latest.current = option;
    chart.current?.setOption(option(), { notMerge: true });
    if (brush.current) armBrush(chart.current);
  }, [option]);
  useEffect(() => {
    const place = box.current;
    if (place === null) return;
    let gone = false;
    let made: EChartsType | undefined;
    // Drawn again when the theme changes: a canvas does not follow CSS variables.
    const watcher = new MutationObserver(() => {
      made?.setOption(latest.current(), { notMerge: true });
      if (brush.current) armBrush(made);
    });
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });
    void import("./echarts").then(({ init }) => {
      if (gone) return;
      made = chart.current = init(place);
      made.setOption(latest.current());
      if (brush.current) armBrush(made);
      made.on("brushEnd", (event: unknown) => {
        const area = (event as { areas?: { coordRange?: [number, number] }[] }).areas?.[0]?.coordRange;
        made?.dispatchAction({ type: "brush", areas: [] });
        if (area && brush.current) brush.current(Math.min(...area), Math.max(...area));
      });
    });
    return () => {
      gone = true;
      watcher.disconnect();
      made?.dispose();
      chart.current = undefined;
    };
  }, []);
  useEffect(() => {
    if (width > 0) chart.current?.resize();
  }, [width, height]);
  return <div ref={ref} role="img" aria-label={label} style={{ height }} />;
}

function armBrush(chart: EChartsType | undefined) {
  chart?.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: { brushType: "lineX", brushMode: "single" } });
}
