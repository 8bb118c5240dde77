import { useMemo } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { SeverityMark } from "~/parts/Severity";
import { Value } from "~/parts/Value";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { RiskContent } from "./RiskContent";

import css from "./risk.module.css";

type Row = Schema<"RiskItem">;
const kinds = ["asset", "identity", "address"] as const;
export const levels = ["critical", "high", "medium", "low", "none"] as const;
const filters = ["search", "entityType", "level", "watched"] as const;

/** The field whose menu fits an entity of this kind. */
export const fieldOf = (kind: Row["entityType"]) => (kind === "asset" ? "host" : kind === "identity" ? "user" : "ip");

/** A level's mark and word: none is quieter than low. */
export function Level({ of }: { of: Row["level"] }) {
  const t = useText("risk");
  return (
    <span className={css.level}>
      <SeverityMark of={of === "none" ? "info" : of} />
      {t(`level.${of}`)}
    </span>
  );
}

/** Who and what most speaks against now: a score from 0 to 100 each. */
export default function Risk() {
  const t = useText("risk");
  const language = useLanguage();
  const url = useUrl();
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, n === "search" || n === "watched" ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["risk", "list", query], load: (page, signal) => answer(client.GET("/api/v1/risk-intelligence", { params: { query: { ...query, sort: "score", direction: "desc", size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "score", header: t("score"), width: "80px", align: "right", cell: (r) => <b>{Math.round(r.score).toLocaleString(language)}</b> },
      { id: "level", header: t("level"), width: "112px", cell: (r) => <Level of={r.level} /> },
      { id: "entity", header: t("entity"), width: "minmax(180px, 1fr)", cell: (r) => <Value field={fieldOf(r.entityType)} value={r.entity} /> },
      { id: "kind", header: t("kind"), width: "104px", from: 640, cell: (r) => t(`kind.${r.entityType}`) },
      { id: "watched", header: t("watched"), width: "104px", from: 820, cell: (r) => (r.watched ? <Pill dot="warn">{t("watched")}</Pill> : "") },
      { id: "trend", header: t("trend"), width: "128px", align: "right", from: 640, cell: (r) => (r.trend === 0 ? <span className="dim">0</span> : r.trend.toLocaleString(language, { signDisplay: "exceptZero", maximumFractionDigits: 1 })) },
      { id: "n", header: t("contributions"), width: "120px", align: "right", from: 720, cell: (r) => r.contributions.toLocaleString(language) },
      { id: "lastSeen", header: t("lastAlert"), width: "112px", align: "right", cell: (r) => <Time at={r.lastSeen} className="dim" /> },
    ],
    [t, language],
  );
  return (
    <>
      <PageHead title={t("title")} />
      <FilterBar
        facets={[
          { id: "entityType", label: t("kind"), options: kinds.map((k) => ({ value: k, label: t(`kind.${k}`) })) },
          { id: "level", label: t("level"), options: levels.map((l) => ({ value: l, label: t(`level.${l}`), mark: <SeverityMark of={l === "none" ? "info" : l} /> })) },
          { id: "watched", label: t("watched"), options: [{ value: "true", label: t("watchedOnly") }] },
        ]}
      />
      <Listing label={t("title")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("noneWhy") }} panel={(id) => <RiskContent id={id} />} />
    </>
  );
}
