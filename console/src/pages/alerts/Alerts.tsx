import { Button, Tooltip } from "@mantine/core";
import { useCallback, useMemo, useRef, useState } from "react";

import { useChanges } from "~/api/changes";
import { queries } from "~/api/queries";
import { PageHead } from "~/frame/PageHead";
import { useKeys } from "~/keys/keys";
import { DataTable } from "~/parts/DataTable";
import { FilterBar, type Facet } from "~/parts/FilterBar";
import { Empty, Failed, Loading } from "~/parts/States";
import { SeverityMark, severities } from "~/parts/Severity";
import { SidePanel } from "~/parts/SidePanel";
import { ValueFilter } from "~/parts/Value";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { ActionBar, useAsked } from "./ActionBar";
import { AlertContent } from "./AlertContent";
import css from "./alerts.module.css";
import { Card, useColumns } from "./columns";
import { filterNames, filterOf, sortOf, statuses, useAlerts, type AlertRow } from "./data";
import { Views } from "./Views";

/** The queue: what waits, most severe first; keys triage it without a mouse. */
export default function Alerts() {
  const t = useText("alerts");
  const words = useText("words");
  const parts = useText("parts");
  const url = useUrl();
  const filter = filterOf(url);
  const sort = sortOf(url);
  const { rows, total, more, query } = useAlerts(filter, sort);
  const [active, setActive] = useState<string | undefined>(url.get("open"));
  const [selected, setSelected] = useState<Set<string>>(new Set());
  const asked = useAsked();
  const columns = useColumns();
  const open = url.get("open");
  const fresh = useFresh(rows.length === 0);

  const onActive = useCallback(
    (id: string) => {
      setActive(id);
      // While the panel is open it follows the list.
      if (open !== undefined) url.set({ open: id }, { replace: true });
    },
    [open, url],
  );
  const picked = useMemo(() => rows.filter((r) => selected.has(r.id)), [rows, selected]);
  const activeRow = rows.find((r) => r.id === active);
  const chosen = picked.length > 0 ? picked : activeRow ? [activeRow] : [];

  // Acting on the row moves on to the next: ten alerts are ten keys.
  const after = useCallback(
    (done: AlertRow[]) => {
      if (selected.size > 0) setSelected(new Set());
      const last = rows.findIndex((r) => r.id === done.at(-1)?.id);
      const next = rows[last + 1] ?? rows[last - 1];
      if (done.length === 1 && next) onActive(next.id);
    },
    [rows, selected, onActive],
  );

  useKeys([
    { keys: "Escape", label: t("clearSelection"), group: t("keys"), quiet: true, run: () => (selected.size > 0 ? setSelected(new Set()) : setActive(undefined)) },
    { keys: ".", label: t("showNew"), group: t("keys"), run: () => fresh.show() },
  ]);
  // Where no row is chosen yet, the first of these keys chooses one: and the map lists them.
  const begin = () => rows[0] && setActive(rows[0].id);
  useKeys(
    ([["a", "assignToMe"], ["s", "setStatus"], ["r", "resolve"], ["f", "falsePositive"], ["e", "escalate"], ["c", "comment"]] as const).map(([keys, label]) => ({ keys, label: t(label), group: t("keys"), run: begin })),
    { off: chosen.length > 0 },
  );

  const facets: Facet[] = [
    { id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`), mark: <SeverityMark of={s} /> })) },
    { id: "status", label: words("status"), options: [...statuses.map((s) => ({ value: s as string, label: words(`alert.${s}`) })), { value: "any", label: t("all") }] },
    { id: "source", label: words("source") },
    { id: "mitre", label: words("technique") },
    { id: "ruleId", label: words("rule") },
    { id: "entity", label: words("entity") },
    { id: "assignedTo", label: words("assignee") },
  ];
  const filtered = filterNames.some((n) => url.get(n) !== undefined);

  return (
    <ValueFilter
      onFilter={(field, value, out) => {
        if (out) return;
        if (field === "source" || field === "mitre") url.set({ [field]: value });
        else url.set({ entity: value });
      }}
    >
      <PageHead title={t("title")}>
        <Views />
      </PageHead>
      <FilterBar facets={facets} placeholder={t("find")}>
        {fresh.n > 0 ? (
          <Tooltip label={`${t("showNew")} (.)`}>
            <Button size="compact-xs" variant="light" onClick={fresh.show} aria-live="polite">
              {t("newOnes", { n: fresh.n })}
            </Button>
          </Tooltip>
        ) : null}
        <span className="dim" role="status">
          {query.data ? t("count", { n: total }) : ""}
          {(sort.by === "severity" || sort.by === "priority") && !sort.up ? ` · ${t(`sorted.${sort.by}`)}` : ""}
        </span>
      </FilterBar>
      <div className={css.split}>
        <div className={css.list}>
          {chosen.length > 0 && (picked.length > 0 || open === undefined) ? <ActionBar rows={chosen} count={picked.length} asked={asked} onDone={after} onClear={() => setSelected(new Set())} /> : null}
          {query.isPending ? <Loading rows={10} /> : null}
          {query.error ? <Failed error={query.error} retry={() => void query.refetch()} /> : null}
          {query.data && rows.length === 0 ? (
            filtered ? (
              <Empty
                title={parts("filteredOut")}
                action={
                  <Button size="xs" variant="default" onClick={() => url.set(Object.fromEntries(filterNames.map((n) => [n, undefined])))}>
                    {parts("clearFilters")}
                  </Button>
                }
              >
                {parts("filteredOutWhy")}
              </Empty>
            ) : (
              <Empty
                title={t("emptyTitle")}
                action={
                  <Button size="xs" variant="default" onClick={() => url.set({ status: "any" })}>
                    {t("showAll")}
                  </Button>
                }
              >
                {t("emptyWhy")}
              </Empty>
            )
          ) : null}
          {rows.length > 0 ? (
            <DataTable
              label={t("title")}
              rows={rows}
              columns={columns}
              rowKey={(r) => r.id}
              rowHeight={44}
              active={active}
              onActive={onActive}
              onOpen={(r) => url.set({ open: r.id }, { replace: open !== undefined })}
              selected={selected}
              onSelect={setSelected}
              sort={sort}
              onSort={(s) => url.set({ sort: s.by, direction: s.up ? "asc" : "desc" })}
              more={more}
              total={total}
              card={(r) => <Card row={r} />}
              cardHeight={76}
            />
          ) : null}
        </div>
        {open !== undefined ? (
          <SidePanel
            label={t("title")}
            page={`/alerts/${open}`}
            onClose={() => url.set({ open: undefined, tab: undefined })}
            actions={picked.length === 0 ? <ActionBar inPanel rows={[activeRow?.id === open ? activeRow : rows.find((r) => r.id === open)].filter((r): r is AlertRow => r !== undefined)} count={0} asked={asked} onDone={after} onClear={() => {}} /> : null}
          >
            <AlertContent id={open} />
          </SidePanel>
        ) : null}
      </div>
      {asked.dialog}
    </ValueFilter>
  );
}

/** Counts what came since the list was read; it moves only when asked to, or where there is
 *  nothing that could move. Changes of others to what is in sight show at once. */
function useFresh(empty: boolean) {
  const [n, setN] = useState(0);
  const mine = useRef(0);
  useChanges((changes) => {
    const alerts = changes.filter((c) => c.kind === "alert");
    const made = alerts.filter((c) => c.action === "create").length;
    if (made > 0 && empty) void queries.invalidateQueries({ queryKey: ["alerts", "list"] });
    else if (made > 0) setN((before) => before + made);
    if (alerts.length > made) void queries.invalidateQueries({ queryKey: ["alerts", "one"] });
    mine.current += made;
  });
  const show = useCallback(() => {
    setN(0);
    void queries.invalidateQueries({ queryKey: ["alerts", "list"] });
  }, []);
  return { n, show };
}
