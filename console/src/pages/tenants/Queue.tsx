import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { useSwitch } from "~/api/switch";
import { DataTable, type Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Raw } from "~/parts/Raw";
import { severities, Severity, SeverityMark } from "~/parts/Severity";
import { Empty, Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { StatusPill } from "../alerts/columns";
import css from "./tenants.module.css";

type Row = Schema<"ProviderAlert">;

const filters = ["severity", "search"] as const;

/** What waits anywhere; opening an alert switches to its tenant. */
export function Queue() {
  const t = useText("tenants");
  const words = useText("words");
  const parts = useText("parts");
  const url = useUrl();
  const go = useSwitch();
  const [active, setActive] = useState<string>();
  const query = {
    size: 100,
    status: ["OPEN", "IN_PROGRESS"],
    ...(url.all("severity").length > 0 ? { severity: url.all("severity") } : {}),
    ...(url.get("search") ? { search: url.get("search") } : {}),
  };
  const q = useQuery({ queryKey: ["alerts", "tenants", query], refetchInterval: 15_000, queryFn: ({ signal }) => answer(client.GET("/api/v1/provider/alerts", { params: { query: query as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "severity", header: words("severity"), width: "92px", cell: (r) => <Severity of={r.severity} /> },
      { id: "tenant", header: t("tenant"), width: "minmax(120px, 200px)", cell: (r) => <Raw text={r.tenant.name} /> },
      { id: "title", header: words("title"), width: "minmax(220px, 1fr)", cell: (r) => <Raw text={r.description || r.title} /> },
      { id: "status", header: words("status"), width: "116px", from: 620, cell: (r) => <StatusPill of={r.status} /> },
      { id: "at", header: words("time"), width: "104px", align: "right", from: 520, cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, words],
  );
  const filtered = filters.some((name) => url.get(name) !== undefined);
  const shown = q.data?.content.length ?? 0;
  return (
    <>
      <FilterBar facets={[{ id: "severity", label: words("severity"), options: severities.map((s) => ({ value: s, label: words(`severity.${s}`), mark: <SeverityMark of={s} /> })) }]}>
        <span className={css.why}>{t("queueHint")}</span>
        <span className={css.count} role="status">
          {q.data && q.data.totalElements > shown ? t("shownOf", { shown, n: q.data.totalElements }) : ""}
        </span>
      </FilterBar>
      {q.isPending ? <Loading rows={8} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {q.data && shown === 0 ? (
        filtered ? (
          <Empty
            title={parts("filteredOut")}
            action={
              <Button size="xs" variant="default" onClick={() => url.set(Object.fromEntries(filters.map((name) => [name, undefined])))}>
                {parts("clearFilters")}
              </Button>
            }
          >
            {parts("filteredOutWhy")}
          </Empty>
        ) : (
          <Empty title={t("none")}>{t("queueWhy")}</Empty>
        )
      ) : null}
      {q.data && shown > 0 ? (
        <DataTable
          label={t("tab.queue")}
          rows={q.data.content}
          columns={columns}
          rowKey={(r) => r.id}
          rowHeight={40}
          active={active}
          onActive={setActive}
          onOpen={(r) => void go(r.tenant.id, `/alerts/${r.id}`)}
          total={q.data.totalElements}
          cardHeight={64}
          card={(r) => (
            <div className={css.card}>
              <div>
                <SeverityMark of={r.severity} /> <Raw text={r.description || r.title} />
              </div>
              <div className="dim">
                <Raw text={r.tenant.name} /> · <Time at={r.createdAt} />
              </div>
            </div>
          )}
        />
      ) : null}
    </>
  );
}
