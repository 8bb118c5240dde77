import { Button, MultiSelect, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import { useChannels } from "./Channels";
import { Told } from "./Told";

type Row = Schema<"RouteItem">;

/** What goes to which channel. */
export function Routes() {
  const t = useText("notifications");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("channels:write");
  const channels = useChannels().rows;
  const list = usePages<Row>({ key: ["routes"], load: (page, signal) => answer(client.GET("/api/v1/notification-routes", { params: { query: { size: 100, page } }, signal })) });
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(() => {
    const what = (r: Row) => {
      const f = r.filters;
      const parts = [
        f.events?.length ? f.events.map((e) => forms(`event.${e}` as "event.canary")).join(", ") : forms("all"),
        f.severity?.length ? f.severity.map((s) => words(`severity.${s}` as "severity.low")).join(", ") : "",
        f.source?.join(", ") ?? "",
        f.titleContains ? `“${f.titleContains}”` : "",
      ];
      return visible(parts.filter(Boolean).join(" · "));
    };
    return [
      { id: "name", header: forms("name"), width: "minmax(140px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "what", header: t("what"), width: "minmax(180px, 2fr)", cell: (r) => <span className="dim">{what(r)}</span> },
      { id: "to", header: t("to"), width: "minmax(120px, 1fr)", from: 560, cell: (r) => visible(r.channels.map((id) => channels.find((c) => c.id === id)?.name ?? id).join(", ")) },
      { id: "status", header: words("status"), width: "88px", cell: (r) => <Pill dot={r.enabled ? "good" : "off"}>{r.enabled ? forms("enabled") : forms("disabled")}</Pill> },
    ];
  }, [t, forms, words, channels]);
  const create = may ? (
    <Button size="xs" disabled={channels.length === 0} onClick={() => setEditing("new")}>
      {t("newRoute")}
    </Button>
  ) : null;
  return (
    <>
      <Top why={channels.length === 0 ? t("channelFirst") : t("routesWhy")}>{create}</Top>
      <Listing label={t("tab.routes")} list={list} columns={columns} empty={{ title: t("noRoutes"), why: t("routesWhy") }} onOpen={(r) => may && setEditing(r)} />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Edit({ of: row, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("notifications");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const channels = useChannels().rows;
  const [name, setName] = useState(row?.name ?? "");
  const [to, setTo] = useState<string[]>(row?.channels ?? []);
  const [events, setEvents] = useState<string[]>(row?.filters.events ?? []);
  const [severity, setSeverity] = useState<string[]>(row?.filters.severity ?? []);
  const [contains, setContains] = useState(row?.filters.titleContains ?? "");
  const url = `/api/v1/notification-routes${row ? `/${row.id}` : ""}`;
  return (
    <Dialog
      title={row ? forms("change") : t("newRoute")}
      action={row ? parts("save") : forms("create")}
      ready={name.trim() !== "" && to.length > 0}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: row ? "PATCH" : "POST", url, body: { name: name.trim(), channels: to, filters: { ...row?.filters, events, severity, titleContains: contains } } }, done: forms("saved"), renews: [["routes"]] })) !== undefined}
    >
      {row ? (
        <div style={{ display: "flex", gap: 8 }}>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => {
              void act({ call: { method: "PATCH", url, body: { enabled: !row.enabled } }, undo: { method: "PATCH", url, body: { enabled: row.enabled } }, done: row.enabled ? forms("switchedOff") : forms("switchedOn"), renews: [["routes"]] });
              onClose();
            }}
          >
            {row.enabled ? forms("switchOff") : forms("switchOn")}
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() =>
              void confirm({ title: forms("delete"), text: t("deleteRouteWhy", { name: row.name }), action: forms("delete") }).then(async (yes) => {
                if (!yes) return;
                await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews: [["routes"]] });
                onClose();
              })
            }
          >
            {forms("delete")}
          </Button>
        </div>
      ) : null}
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <MultiSelect label={t("tab.channels")} required value={to} onChange={setTo} data={channels.map((c) => ({ value: c.id, label: c.name }))} />
      <Told events={events} onEvents={setEvents} severity={severity} onSeverity={setSeverity} />
      <TextInput label={`${t("titleContains")} (${forms("optional")})`} value={contains} onChange={(e) => setContains(e.currentTarget.value)} />
    </Dialog>
  );
}
