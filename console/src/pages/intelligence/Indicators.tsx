import { Button } from "@mantine/core";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { severities, Severity, SeverityMark } from "~/parts/Severity";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Add } from "./Add";
import { IndicatorContent } from "./IndicatorContent";

type Row = Schema<"IndicatorItem">;
export const types = ["ipv4", "ipv6", "cidr", "domain", "url", "md5", "sha1", "sha256", "email", "ja3"] as const;
const many = ["type", "severity", "source", "tag"];
export const filters = ["search", "type", "severity", "active", "sighted", "value", "source", "tag", "feedId"] as const;

/** The field whose menu fits a value of this type. */
export const fieldOf = (type: Row["type"]) => (type === "ipv4" || type === "ipv6" ? "ip" : type === "md5" || type === "sha1" || type === "sha256" ? "hash" : type);

export function Indicators() {
  const t = useText("intelligence");
  const words = useText("words");
  const language = useLanguage();
  const url = useUrl();
  const may = useMay("intel:write");
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, many.includes(n) ? url.all(n) : url.get(n)]));
  const list = usePages<Row>({ key: ["indicators", "list", query], load: (page, signal) => answer(client.GET("/api/v1/threat-intel-iocs", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const [adding, setAdding] = useState(false);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "severity", header: words("severity"), width: "96px", cell: (r) => <Severity of={r.severity} /> },
      { id: "type", header: t("type"), width: "88px", from: 640, cell: (r) => t(`type.${r.type}`) },
      { id: "value", header: t("value"), width: "minmax(180px, 2fr)", cell: (r) => <Value field={fieldOf(r.type)} value={r.value} className="mono" /> },
      { id: "active", header: words("status"), width: "104px", cell: (r) => <Pill dot={r.active ? "good" : "off"}>{r.active ? t("active") : t("inactive")}</Pill> },
      { id: "source", header: words("source"), width: "minmax(100px, 1fr)", from: 720, cell: (r) => visible(r.source) },
      { id: "confidence", header: t("confidence"), width: "104px", align: "right", from: 820, cell: (r) => r.confidence.toLocaleString(language) },
      { id: "sightings", header: t("sightings"), width: "104px", align: "right", cell: (r) => (r.sightings > 0 ? <b>{r.sightings.toLocaleString(language)}</b> : <span className="dim">0</span>) },
      { id: "lastSighted", header: t("lastSighted"), width: "120px", align: "right", from: 960, cell: (r) => (r.lastSighted ? <Time at={r.lastSighted} className="dim" /> : <span className="dim">–</span>) },
    ],
    [t, words, language],
  );
  const add = may ? (
    <Button size="xs" onClick={() => setAdding(true)}>
      {t("add")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar
        placeholder={t("find")}
        facets={[
          { id: "type", label: t("type"), options: types.map((x) => ({ value: x, label: t(`type.${x}`) })) },
          { id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`), mark: <SeverityMark of={s} /> })) },
          { id: "sighted", label: t("sightings"), options: [{ value: "true", label: t("sightedOnly") }] },
          { id: "active", label: words("status"), options: [{ value: "true", label: t("activeOnly") }] },
          { id: "value", label: t("value") },
          { id: "source", label: words("source") },
          { id: "tag", label: t("tag") },
          { id: "feedId", label: t("feed") },
        ]}
      >
        {add}
      </FilterBar>
      <Listing label={t("tab.indicators")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("noneWhy"), action: add }} panel={(id, _, close) => <IndicatorContent id={id} onGone={close} />} />
      {adding ? <Add onClose={() => setAdding(false)} /> : null}
    </>
  );
}
