import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Deliveries } from "~/parts/Deliveries";
import { Facts, Rows } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Edit } from "./Edit";

type Row = Schema<"ConnectorItem">;
export const kinds = ["smtp", "slack", "http", "syslog", "s3", "taxii"] as const;
const dots = { ok: "good", failed: "bad", unknown: "todo" } as const;
const filters = ["search", "kind", "health"] as const;

/** The ways out of the house and in: mail, chat, other systems; each is tested before it is kept. */
export default function Connectors() {
  const t = useText("connectors");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("connectors:write");
  const url = useUrl();
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, n === "search" ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["connectors", query], load: (page, signal) => answer(client.GET("/api/v1/connectors", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "kind", header: t("kind"), width: "140px", cell: (r) => t(`kind.${r.kind}`) },
      { id: "health", header: t("health"), width: "120px", cell: (r) => (r.enabled ? <Pill dot={dots[r.health]}>{t(`health.${r.health}`)}</Pill> : <Pill dot="off">{forms("disabled")}</Pill>) },
      { id: "last", header: t("lastSuccess"), width: "128px", from: 640, cell: (r) => (r.lastSuccessAt ? <Time at={r.lastSuccessAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
      { id: "error", header: t("lastError"), width: "minmax(120px, 1fr)", from: 820, cell: (r) => (r.lastError ? <Raw text={r.lastError} className="dim" /> : "") },
    ],
    [t, forms],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("new")}
    </Button>
  ) : null;
  return (
    <>
      <PageHead title={t("title")} />
      <FilterBar
        facets={[
          { id: "kind", label: t("kind"), options: kinds.map((k) => ({ value: k, label: t(`kind.${k}`) })) },
          { id: "health", label: t("health"), options: (["ok", "failed", "unknown"] as const).map((h) => ({ value: h, label: t(`health.${h}`) })) },
        ]}
      >
        {create}
      </FilterBar>
      <Listing
        label={t("title")}
        list={list}
        columns={columns}
        filters={filters}
        empty={{ title: t("none"), why: t("noneWhy"), action: create }}
        panelActions={(_, r, close) => (r && may ? <Actions of={r} onEdit={() => setEditing(r)} onGone={close} /> : null)}
        panel={(id, r) => (
          <>
            {r ? (
              <section>
                <h2>
                  <Raw text={r.name} />
                </h2>
                <br />
                <Facts
                  of={[
                    [t("kind"), t(`kind.${r.kind}`)],
                    [words("status"), r.enabled ? forms("enabled") : forms("disabled")],
                    ...Object.entries(r.config).map(([k, v]) => [k, visible(typeof v === "string" ? v : Array.isArray(v) && v.every((x) => typeof x === "string") ? v.join(", ") : JSON.stringify(v))] as const),
                    [t("secrets"), r.secrets.length > 0 ? r.secrets.join(", ") : null],
                    [t("lastError"), r.lastError ? visible(r.lastError) : null],
                    [words("created"), <><Time at={r.createdAt} /> · {visible(r.createdBy)}</>],
                  ]}
                />
              </section>
            ) : null}
            <Health id={id} />
            <Metrics id={id} />
            <Deliveries path={`/api/v1/connectors/${id}`} replay={false} />
          </>
        )}
      />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Actions({ of: r, onEdit, onGone }: { of: Row; onEdit: () => void; onGone: () => void }) {
  const t = useText("connectors");
  const forms = useText("forms");
  const act = useAct();
  const url = `/api/v1/connectors/${r.id}`;
  const renews = [["connectors"], ["deliveries", url]];
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      {button(forms("test"), () => void act({ call: { method: "POST", url: `${url}/test` }, done: t("tested"), renews }))}
      {button(forms("change"), onEdit)}
      {button(r.enabled ? forms("switchOff") : forms("switchOn"), () =>
        void act({ call: { method: "PATCH", url, body: { enabled: !r.enabled } }, undo: { method: "PATCH", url, body: { enabled: r.enabled } }, done: r.enabled ? forms("switchedOff") : forms("switchedOn"), renews }),
      )}
      {button(forms("delete"), () =>
        void confirm({ title: forms("delete"), text: t("deleteWhy", { name: r.name }), action: forms("delete") }).then(async (yes) => {
          if (!yes) return;
          await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews });
          onGone();
        }),
      )}
    </>
  );
}

const checks = ["connectivity", "authentication", "dataFlow"] as const;

function Health({ id }: { id: string }) {
  const t = useText("connectors");
  const q = useQuery({ queryKey: ["connectors", id, "health"], queryFn: ({ signal }) => send<Schema<"HealthOutBody">>({ method: "GET", url: `/api/v1/connectors/${id}/health` }, signal) });
  if (!q.data || q.data.checks.length === 0) return null;
  return (
    <section>
      <h2>{t("health")}</h2>
      <Rows
        label={t("health")}
        head={[t("check"), t("result"), t("latency"), t("says")]}
        rows={q.data.checks.map((c) => ({ key: c.name, cells: [(checks as readonly string[]).includes(c.name) ? t(`check.${c.name as (typeof checks)[number]}`) : visible(c.name), <Pill dot={c.status === "ok" ? "good" : c.status === "skipped" ? "off" : "bad"}>{t(c.status === "ok" ? "health.ok" : c.status === "skipped" ? "health.unknown" : "health.failed")}</Pill>, `${Math.round(c.latencyMs)} ms`, visible(c.message)] }))}
      />
    </section>
  );
}

function Metrics({ id }: { id: string }) {
  const t = useText("connectors");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["connectors", id, "metrics"], queryFn: ({ signal }) => answer(client.GET("/api/v1/connectors/{id}/metrics", { params: { path: { id } }, signal })), refetchInterval: 15_000 });
  if (!q.data) return null;
  const n = (v: number) => v.toLocaleString(language);
  return (
    <section>
      <h2>{t("metrics")}</h2>
      <Rows label={t("metrics")} head={[t("window"), t("sent"), t("failed"), t("bytes"), t("latency")]} rows={q.data.windows.map((w) => ({ key: w.window, cells: [w.window, n(w.sent), n(w.failed), n(w.bytes), `${Math.round(w.latencyMs.p50)} / ${Math.round(w.latencyMs.p95)} ms`] }))} />
    </section>
  );
}
