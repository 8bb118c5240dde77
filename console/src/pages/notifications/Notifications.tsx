import { Button, SegmentedControl } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Raw } from "~/parts/Raw";
import { severities, SeverityMark } from "~/parts/Severity";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Channels } from "./Channels";
import css from "./notifications.module.css";
import Preferences from "./Preferences";
import { Routes } from "./Routes";

const filters = ["search", "severity", "read"] as const;

/** What was told, to whom it is told, and what this person wants to hear. */
export default function Notifications() {
  const t = useText("notifications");
  const url = useUrl();
  const may = useMay("channels:read");
  const tabs = may ? (["inbox", "channels", "routes", "preferences"] as const) : (["inbox", "preferences"] as const);
  const now = tabs.find((x) => x === url.get("tab")) ?? "inbox";
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl size="xs" aria-label={t("title")} transitionDuration={0} value={now} onChange={(v) => url.set({ tab: v === "inbox" ? undefined : v, open: undefined, search: undefined, severity: undefined })} data={tabs.map((value) => ({ value, label: t(`tab.${value}`) }))} />
      </PageHead>
      {now === "inbox" ? <Inbox /> : now === "channels" ? <Channels /> : now === "routes" ? <Routes /> : <Preferences />}
    </>
  );
}

type Row = Schema<"NotificationItem">;
const pages = { alerts: "/alerts/", incidents: "/incidents/", dsr: "/privacy?open=", collectors: "/sources?open=" } as Record<string, string>;

function Inbox() {
  const t = useText("notifications");
  const words = useText("words");
  const forms = useText("forms");
  const url = useUrl();
  const act = useAct();
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, n === "severity" ? url.all(n) : url.get(n)]));
  const list = usePages<Row>({ key: ["notifications", "list", query], load: (page, signal) => answer(client.GET("/api/v1/notifications", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "severity", header: words("severity"), width: "88px", cell: (r) => (r.severity ? <SeverityMark of={r.severity} /> : null) },
      {
        id: "title",
        header: words("title"),
        width: "minmax(200px, 1fr)",
        cell: (r) => {
          const page = pages[r.kind];
          const text = <Raw text={r.title} />;
          return (
            <span className={css.told} data-unread={!r.read || undefined}>
              {page ? <Link to={`${page}${r.objectId}` as "/"}>{text}</Link> : text}
              <Raw text={r.message} className="dim" />
            </span>
          );
        },
      },
      { id: "event", header: t("event"), width: "200px", from: 640, cell: (r) => forms(`event.${r.event}` as "event.canary") },
      { id: "at", header: words("time"), width: "104px", align: "right", cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, words, forms],
  );
  return (
    <>
      <FilterBar
        facets={[
          { id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`), mark: <SeverityMark of={s} /> })) },
          { id: "read", label: t("unread"), options: [{ value: "false", label: t("unreadOnly") }] },
        ]}
      >
        <Button size="xs" variant="default" onClick={() => void act({ call: { method: "POST", url: "/api/v1/notifications/read-all" }, done: t("allRead"), renews: [["notifications"]] })}>
          {t("readAll")}
        </Button>
      </FilterBar>
      <Listing label={t("title")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("noneWhy") }} rowHeight={48} />
    </>
  );
}
