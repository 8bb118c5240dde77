import { Button } from "@mantine/core";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { SeverityMark } from "~/parts/Severity";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { AssetContent } from "./AssetContent";
import { Import } from "./Import";

type Row = Schema<"AssetItem">;
export const types = ["server", "workstation", "network-device", "mobile", "cloud", "container", "printer", "iot", "unknown"] as const;
export const criticalities = ["critical", "high", "medium", "low"] as const;
const single = ["search", "openAlerts"] as const;
const filters = ["search", "type", "criticality", "openAlerts", "tag", "owner", "source"] as const;

/** The machines that logs tell of: what each is, whose it is, and what is open on it. */
export default function Assets() {
  const t = useText("assets");
  const language = useLanguage();
  const url = useUrl();
  const may = useMay("assets:write");
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, single.some((s) => s === n) ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["assets", "list", query], load: (page, signal) => answer(client.GET("/api/v1/assets", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const [importing, setImporting] = useState(false);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: t("asset"), width: "minmax(160px, 1fr)", cell: (r) => <Value field="host" value={r.name} /> },
      { id: "type", header: t("type"), width: "132px", from: 640, cell: (r) => t(`type.${r.type}`) },
      {
        id: "criticality",
        header: t("criticality"),
        width: "112px",
        cell: (r) => (
          <>
            <SeverityMark of={r.criticality} /> {t(`criticality.${r.criticality}`)}
          </>
        ),
      },
      {
        id: "addresses",
        header: t("addresses"),
        width: "minmax(140px, 1fr)",
        from: 720,
        cell: (r) => (r.addresses[0] === undefined ? <span className="dim">–</span> : <><Value field="ip" value={r.addresses[0]} className="mono" />{r.addresses.length > 1 ? <span className="dim"> +{r.addresses.length - 1}</span> : null}</>),
      },
      { id: "owner", header: t("owner"), width: "140px", from: 820, cell: (r) => (r.owner ? visible(r.owner) : <span className="dim">–</span>) },
      { id: "openAlerts", header: t("openAlerts"), width: "112px", align: "right", cell: (r) => (r.openAlerts > 0 ? <b>{r.openAlerts.toLocaleString(language)}</b> : <span className="dim">0</span>) },
      { id: "lastSeen", header: t("lastSeen"), width: "112px", align: "right", from: 640, cell: (r) => <Time at={r.lastSeen} className="dim" /> },
    ],
    [t, language],
  );
  const more = may ? (
    <Button size="xs" variant="default" onClick={() => setImporting(true)}>
      {t("import")}
    </Button>
  ) : null;
  return (
    <>
      <PageHead title={t("title")} />
      <FilterBar
        placeholder={t("find")}
        facets={[
          { id: "type", label: t("type"), options: types.map((x) => ({ value: x, label: t(`type.${x}`) })) },
          { id: "criticality", label: t("criticality"), options: criticalities.map((c) => ({ value: c, label: t(`criticality.${c}`), mark: <SeverityMark of={c} /> })) },
          { id: "openAlerts", label: t("openAlerts"), options: [{ value: "true", label: t("openAlertsOnly") }] },
          { id: "tag", label: t("tag") },
          { id: "owner", label: t("owner") },
          { id: "source", label: t("logsFrom") },
        ]}
      >
        {more}
      </FilterBar>
      <Listing label={t("title")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("noneWhy"), action: more }} panel={(id) => <AssetContent id={id} />} />
      {importing ? <Import onClose={() => setImporting(false)} /> : null}
    </>
  );
}
