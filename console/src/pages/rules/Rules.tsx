import { Button } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";

import { answer, client } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column, Sort } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity } from "~/parts/Severity";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { healthDots, healths, severities, statuses, type Rule } from "./data";
import css from "./rules.module.css";
import { Tabs } from "./Tabs";

const filters = ["search", "severity", "status", "health", "mitre", "builtin"] as const;

/** What is looked for in the events, and which of it can see anything. */
export default function Rules() {
  const t = useText("rules");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("rules:write");
  const url = useUrl();
  const navigate = useNavigate();
  const many = ["severity", "status", "health"];
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, many.includes(n) ? url.all(n) : url.get(n)]));
  // Those that find something first: a new installation has many that no source feeds yet.
  const sort: Sort = { by: url.get("sort") ?? "matches7d", up: url.get("direction") === "asc" };
  const list = usePages<Rule>({ key: ["rules", "list", query, sort], load: (page, signal) => answer(client.GET("/api/v1/siem/rules", { params: { query: { ...query, sort: sort.by, direction: sort.up ? "asc" : "desc", size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Rule>[]>(
    () => [
      { id: "severity", header: words("severity"), width: "104px", sort: "severity", cell: (r) => <Severity of={r.severity} /> },
      {
        id: "name",
        header: words("rule"),
        width: "minmax(220px, 2fr)",
        sort: "name",
        cell: (r) => (
          <span className={css.name}>
            <Link to={`/rules/${r.id}` as "/"} className={css.open} title={visible(r.name)}>
              <Raw text={r.name} />
            </Link>
            <span>{r.mitreTechniques.join(" ") || "–"}</span>
          </span>
        ),
      },
      { id: "status", header: words("status"), width: "112px", sort: "status", from: 640, cell: (r) => <Pill dot={r.status === "ACTIVE" ? (r.staged ? "doing" : "good") : r.status === "DRAFT" ? "todo" : "off"}>{r.staged && r.status === "ACTIVE" ? t("staged") : t(`status.${r.status}`)}</Pill> },
      { id: "health", header: t("health"), width: "128px", cell: (r) => <Pill dot={healthDots[r.health]} title={r.healthReason}>{t(`health.${r.health}`)}</Pill> },
      { id: "why", header: t("healthWhy"), width: "minmax(160px, 1fr)", from: 1180, cell: (r) => <span className={css.why} title={visible(r.healthReason)}>{visible(r.healthReason)}</span> },
      { id: "week", header: t("matches7d"), width: "96px", align: "right", sort: "matches7d", from: 760, cell: (r) => r.matches7d.toLocaleString(language) },
      { id: "fp", header: t("falsePositives"), width: "96px", align: "right", from: 960, cell: (r) => (r.alerts > 0 ? `${r.falsePositives.toLocaleString(language)} / ${r.alerts.toLocaleString(language)}` : "–") },
      { id: "last", header: t("lastMatch"), width: "112px", align: "right", sort: "lastMatchAt", from: 860, cell: (r) => (r.lastMatchAt ? <Time at={r.lastMatchAt} className="dim" /> : <span className="dim">–</span>) },
    ],
    [t, words, language],
  );
  const create = may ? (
    <Button size="xs" renderRoot={(props) => <Link to={"/rules/new" as "/"} {...props} />}>
      {t("new")}
    </Button>
  ) : null;
  return (
    <>
      <PageHead title={t("title")}>
        <Tabs now="list" />
      </PageHead>
      <FilterBar
        facets={[
          { id: "health", label: t("health"), options: healths.map((h) => ({ value: h, label: t(`health.${h}`) })) },
          { id: "status", label: words("status"), options: statuses.map((s) => ({ value: s, label: t(`status.${s}`) })) },
          { id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`) })) },
          { id: "mitre", label: words("technique") },
          { id: "builtin", label: t("builtin") },
        ]}
      >
        {list.query.data ? <span className="dim">{t("count", { n: list.total })}</span> : null}
        {create}
      </FilterBar>
      <Listing
        label={t("title")}
        list={list}
        columns={columns}
        filters={filters}
        empty={{ title: t("none"), why: t("noneWhy"), action: create }}
        onOpen={(r) => void navigate({ to: `/rules/${r.id}` as "/" })}
        sort={sort}
        onSort={(s) => url.set({ sort: s.by, direction: s.up ? "asc" : "desc" })}
        rowHeight={44}
        cardHeight={60}
        card={(r) => (
          <span className={css.name}>
            <Link to={`/rules/${r.id}` as "/"} className={css.open}>
              <Raw text={r.name} />
            </Link>
            <span className={css.cardFacts}>
              <Severity of={r.severity} />
              <span>{t(`health.${r.health}`)}</span>
              {r.matches7d > 0 ? <span>{`${t("matches7d")}: ${r.matches7d.toLocaleString(language)}`}</span> : null}
            </span>
          </span>
        )}
      />
    </>
  );
}
