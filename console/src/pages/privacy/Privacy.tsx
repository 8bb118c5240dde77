import { Button, SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { duration, useNow } from "~/time/time";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Holds } from "./Holds";
import { Intake } from "./Intake";
import css from "./privacy.module.css";
import { RequestContent } from "./RequestContent";
import { RequestSettings } from "./RequestSettings";

export type Row = Schema<"RequestItem">;
export const kinds = ["access", "erasure", "rectification", "restriction", "objection", "portability"] as const;
export const laws = ["PIPA", "GDPR", "CCPA"] as const;
export const statuses = ["RECEIVED", "VERIFIED", "SEARCHING", "REVIEW", "FULFILLED", "REJECTED"] as const;
export const dots = { RECEIVED: "todo", VERIFIED: "doing", SEARCHING: "doing", REVIEW: "doing", FULFILLED: "done", REJECTED: "off" } as const;
const filters = ["search", "status", "kind", "law", "overdue"] as const;

/** Requests of people about their data: what is due first stands first. */
export default function Privacy() {
  const t = useText("privacy");
  const url = useUrl();
  const may = useMay("privacy:write");
  const tabs = may ? (["requests", "holds", "settings"] as const) : (["requests", "holds"] as const);
  const tab = tabs.find((x) => x === url.get("tab")) ?? "requests";
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl size="xs" aria-label={t("title")} transitionDuration={0} value={tab} onChange={(v) => url.set({ tab: v === "requests" ? undefined : v, open: undefined })} data={tabs.map((value) => ({ value, label: t(`tab.${value}`) }))} />
      </PageHead>
      {tab === "requests" ? <Requests /> : tab === "holds" ? <Holds /> : <RequestSettings />}
    </>
  );
}

function Requests() {
  const t = useText("privacy");
  const words = useText("words");
  const url = useUrl();
  const may = useMay("privacy:write");
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, n === "search" || n === "overdue" ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["dsr", "list", query], load: (page, signal) => answer(client.GET("/api/v1/dsr", { params: { query: { ...query, sort: "dueAt", direction: "asc", size: 100, page } as never }, signal })) });
  const [taking, setTaking] = useState(false);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "kind", header: t("kind"), width: "128px", cell: (r) => t(`kind.${r.kind}`) },
      {
        id: "name",
        header: t("person"),
        width: "minmax(160px, 1fr)",
        cell: (r) => (
          <span className={css.two}>
            <span>{visible(r.name)}</span>
            <span>{visible(r.identifiers.map((i) => i.value).join(", "))}</span>
          </span>
        ),
      },
      { id: "law", header: t("law"), width: "72px", from: 640, cell: (r) => r.law },
      { id: "status", header: words("status"), width: "128px", cell: (r) => <Pill dot={dots[r.status]}>{t(`status.${r.status}`)}</Pill> },
      { id: "due", header: t("due"), width: "160px", cell: (r) => <Due of={r} /> },
      { id: "who", header: words("assignee"), width: "140px", from: 820, cell: (r) => (r.assignedTo ? visible(r.assignedTo) : <span className="dim">–</span>) },
      { id: "at", header: t("received"), width: "112px", align: "right", from: 720, cell: (r) => <span className="dim">{r.receivedOn}</span> },
    ],
    [t, words],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setTaking(true)}>
      {t("new")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar
        facets={[
          { id: "status", label: words("status"), options: statuses.map((s) => ({ value: s, label: t(`status.${s}`) })) },
          { id: "kind", label: t("kind"), options: kinds.map((k) => ({ value: k, label: t(`kind.${k}`) })) },
          { id: "law", label: t("law"), options: laws.map((l) => ({ value: l, label: l })) },
          { id: "overdue", label: t("overdue"), options: [{ value: "true", label: t("overdueOnly") }] },
        ]}
      >
        {create}
      </FilterBar>
      <Listing label={t("title")} list={list} columns={columns} filters={filters} rowHeight={48} empty={{ title: t("none"), why: t("noneWhy"), action: create }} panel={(id) => <RequestContent id={id} />} />
      {taking ? <Intake onClose={() => setTaking(false)} /> : null}
    </>
  );
}

/** How much of the law's term is left. */
export function Due({ of: r }: { of: { dueAt: string; dueOn: string; overdue: boolean; closedAt: string | null } }) {
  const t = useText("privacy");
  const now = useNow(60_000);
  if (r.closedAt !== null) return <Time at={r.closedAt} className="dim" />;
  const left = (Date.parse(r.dueAt) - now) / 1000;
  const tone = r.overdue || left < 0 ? "over" : left < 3 * 86_400 ? "soon" : "fine";
  return (
    <span className={css.due} data-tone={tone} title={r.dueOn}>
      {t(`due.${tone}`, { time: duration(left) })}
    </span>
  );
}
