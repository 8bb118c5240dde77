import { Button, SegmentedControl } from "@mantine/core";
import { IconLayoutKanban, IconList } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { answer, client } from "~/api/client";
import { useChanges } from "~/api/changes";
import { queries } from "~/api/queries";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { DataTable, type Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity, severities, SeverityMark } from "~/parts/Severity";
import { Empty, Failed, Loading } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { duration } from "~/time/time";
import { Time } from "~/time/Time";
import { useStored } from "~/url/stored";
import { useUrl } from "~/url/url";

import { Board } from "./Board";
import { dots, filterNames, filterOf, sortOf, statuses, titleOf, useIncidents, type Row } from "./data";
import { Due } from "./Due";
import css from "./incidents.module.css";
import { useMove } from "./move";
import { NewIncident } from "./NewIncident";

/** Cases: as a table, or as a board whose columns are the steps of the work. */
export default function Incidents() {
  const t = useText("incidents");
  const words = useText("words");
  const parts = useText("parts");
  const url = useUrl();
  const navigate = useNavigate();
  const may = useMay("incidents:write");
  const [kept, keep] = useStored<"board" | "table">("incidentView", "board");
  const view = url.get("view") === "table" ? "table" : url.get("view") === "board" ? "board" : kept;
  const filter = filterOf(url);
  const sort = sortOf(url);
  const { rows, total, more, query } = useIncidents(filter, sort);
  const [active, setActive] = useState<string>();
  const [making, setMaking] = useState(false);
  const { move, dialog } = useMove();
  const columns = useColumns();
  useChanges((changes) => {
    if (changes.some((c) => c.kind === "incident")) void queries.invalidateQueries({ queryKey: ["incidents"] });
  });
  const open = (r: Row) => void navigate({ to: `/incidents/${r.id}` });
  const filtered = filterNames.some((n) => url.get(n) !== undefined);
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl
          size="xs"
          aria-label={t("view")}
          value={view}
          transitionDuration={0}
          onChange={(v) => {
            keep(v as "board");
            url.set({ view: v }, { replace: true });
          }}
          data={[
            { value: "board", label: <span className={css.seg}><IconLayoutKanban size={14} aria-hidden /> {t("board")}</span> },
            { value: "table", label: <span className={css.seg}><IconList size={14} aria-hidden /> {t("table")}</span> },
          ]}
        />
      </PageHead>
      <Figures />
      <FilterBar
        placeholder={t("find")}
        facets={[
          { id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`), mark: <SeverityMark of={s} /> })) },
          ...(view === "table" ? [{ id: "status", label: words("status"), options: statuses.map((s) => ({ value: s as string, label: words(`incident.${s}`) })) }] : []),
          { id: "assignedTo", label: words("assignee") },
          { id: "alertId", label: t("alert") },
        ]}
      >
        <span className="dim" role="status">
          {query.data ? t("count", { n: total }) : ""}
        </span>
        {may ? (
          <Button size="xs" variant="default" onClick={() => setMaking(true)}>
            {t("new")}
          </Button>
        ) : null}
      </FilterBar>
      {query.isPending ? <Loading rows={8} /> : null}
      {query.error ? <Failed error={query.error} retry={() => void query.refetch()} /> : null}
      {query.data && rows.length === 0 ? (
        <Empty
          title={filtered ? parts("filteredOut") : t("empty")}
          action={
            filtered ? (
              <Button size="xs" variant="default" onClick={() => url.set(Object.fromEntries(filterNames.map((n) => [n, undefined])))}>
                {parts("clearFilters")}
              </Button>
            ) : undefined
          }
        >
          {filtered ? parts("filteredOutWhy") : t("emptyWhy")}
        </Empty>
      ) : null}
      {rows.length > 0 ? (
        view === "board" ? (
          <Board rows={rows} onMove={may ? move : undefined} onOpen={open} more={more} />
        ) : (
          <DataTable
            label={t("title")}
            rows={rows}
            columns={columns}
            rowKey={(r) => r.id}
            active={active}
            onActive={setActive}
            onOpen={open}
            sort={sort}
            onSort={(s) => url.set({ sort: s.by, direction: s.up ? "asc" : "desc" })}
            more={more}
            total={total}
            cardHeight={76}
            card={(r) => (
              <div className={css.phoneCard}>
                <span className={css.phoneTitle}>
                  <SeverityMark of={r.severity} /> <Raw text={titleOf(r)} />
                </span>
                <span className={css.phoneFacts}>
                  {words(`incident.${r.status}`)} <Due at={r.triage?.slaDueAt} closedAt={r.triage?.closedAt} />
                </span>
              </div>
            )}
          />
        )
      ) : null}
      {dialog}
      {making ? <NewIncident onClose={() => setMaking(false)} /> : null}
    </>
  );
}

function useColumns(): Column<Row>[] {
  const t = useText("incidents");
  const words = useText("words");
  const language = useLanguage();
  return useMemo(
    () => [
      { id: "severity", header: words("severity"), width: "96px", sort: "severity", cell: (r) => <Severity of={r.severity} /> },
      { id: "title", header: words("title"), width: "minmax(220px, 1fr)", sort: "title", cell: (r) => <Raw text={titleOf(r)} className={css.cut} /> },
      { id: "status", header: words("status"), width: "132px", sort: "status", cell: (r) => <Pill dot={dots[r.status]}>{words(`incident.${r.status}`)}</Pill> },
      { id: "due", header: t("due"), width: "132px", sort: "slaDueAt", cell: (r) => <Due at={r.triage?.slaDueAt} closedAt={r.triage?.closedAt} /> },
      { id: "assignee", header: words("assignee"), width: "132px", from: 820, cell: (r) => (r.assignedTo ? <Raw text={r.assignedTo} className={css.cut} /> : <span className="dim">–</span>) },
      { id: "alerts", header: t("alerts"), width: "72px", align: "right", sort: "alertCount", from: 700, cell: (r) => r.alertCount.toLocaleString(language) },
      { id: "created", header: words("created"), width: "104px", align: "right", sort: "createdAt", from: 700, cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, words, language],
  );
}

/** How the work of the last 30 days fared. */
function Figures() {
  const t = useText("incidents");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["stats", "incidents"], queryFn: ({ signal }) => answer(client.GET("/api/v1/incidents/stats", { signal })), staleTime: 15_000 });
  const f = q.data;
  const time = (s: number | null | undefined) => (s === null || s === undefined ? "–" : duration(s >= 60 ? Math.round(s / 60) * 60 : s));
  const facts: [string, string, string?][] = f
    ? [
        [t("openNow"), f.open.toLocaleString(language)],
        [t("overdue"), f.overdue.toLocaleString(language), f.overdue > 0 ? "bad" : undefined],
        [t("unassigned"), f.unassigned.toLocaleString(language)],
        [t("today"), f.createdToday.toLocaleString(language)],
        [t("mtta"), time(f.mtta.p50Seconds)],
        [t("mttr"), time(f.mttr.p50Seconds)],
        [t("sla"), f.sla.percent === null ? "–" : `${Math.round(f.sla.percent)}%`],
      ]
    : [];
  return (
    <dl className={css.figures}>
      {facts.map(([label, value, tone]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd data-tone={tone}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
