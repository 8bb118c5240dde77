import { Button } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Facts } from "~/parts/Facts";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Reading } from "./Reading";

type Row = Schema<"SettingItem">;
const told = (of: object) => visible(Object.entries(of).map(([k, v]) => `${k}: ${typeof v === "string" ? v : JSON.stringify(v)}`).join(", "));

/** Settings of how records are read: time zone, format, parser; lower priorities decide first. */
export function Readings() {
  const t = useText("sources");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("sources:write");
  const act = useAct();
  const [editing, setEditing] = useState<Row | "new">();
  const list = usePages<Row>({ key: ["log-source-settings"], load: (page, signal) => answer(client.GET("/api/v1/log-source-settings", { params: { query: { size: 100, page } }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "priority", header: t("priority"), width: "80px", align: "right", cell: (r) => r.priority },
      { id: "name", header: forms("name"), width: "minmax(140px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "match", header: t("match"), width: "minmax(120px, 1fr)", from: 640, cell: (r) => told(r.match) || forms("all") },
      { id: "apply", header: t("apply"), width: "minmax(120px, 1fr)", from: 560, cell: (r) => told(r.apply) },
      { id: "status", header: words("status"), width: "88px", cell: (r) => <Pill dot={r.enabled ? "good" : "off"}>{r.enabled ? forms("enabled") : forms("disabled")}</Pill> },
    ],
    [t, forms, words],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("newReading")}
    </Button>
  ) : null;
  const renews = [["log-source-settings"]];
  return (
    <>
      <Top why={t("readingsWhy")}>{create}</Top>
      <Listing
        label={t("tab.readings")}
        list={list}
        columns={columns}
        empty={{ title: t("noReadings"), why: t("readingsWhy"), action: create }}
        panelActions={(id, r, close) => {
          const url = `/api/v1/log-source-settings/${id}`;
          return r && may ? (
            <>
              <Button size="compact-xs" variant="default" onClick={() => setEditing(r)}>
                {forms("change")}
              </Button>
              <Button size="compact-xs" variant="default" onClick={() => void act({ call: { method: "PATCH", url, body: { enabled: !r.enabled } }, undo: { method: "PATCH", url, body: { enabled: r.enabled } }, done: r.enabled ? forms("switchedOff") : forms("switchedOn"), renews })}>
                {r.enabled ? forms("switchOff") : forms("switchOn")}
              </Button>
              <Button
                size="compact-xs"
                variant="default"
                onClick={() =>
                  void confirm({ title: forms("delete"), text: t("deleteReadingWhy", { name: r.name }), action: forms("delete") }).then(async (yes) => {
                    if (!yes) return;
                    await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews });
                    close();
                  })
                }
              >
                {forms("delete")}
              </Button>
            </>
          ) : null;
        }}
        panel={(_, r) =>
          r ? (
            <section>
              <h2>
                <Raw text={r.name} />
              </h2>
              <br />
              <Facts of={[[t("priority"), r.priority], [t("match"), told(r.match) || forms("all")], [t("apply"), told(r.apply)], [words("created"), <><Time at={r.createdAt} /> · {visible(r.createdBy)}</>], [words("updated"), <><Time at={r.updatedAt} /> · {visible(r.updatedBy)}</>]]} />
            </section>
          ) : null
        }
      />
      {editing === "new" ? <Reading onClose={() => setEditing(undefined)} /> : editing ? <Reading of={editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}
