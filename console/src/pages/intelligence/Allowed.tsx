import { Button, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { fieldOf } from "./Indicators";

type Row = Schema<"AllowedItem">;

/** Values that never match, whatever a feed says. */
export function Allowed() {
  const t = useText("intelligence");
  const forms = useText("forms");
  const words = useText("words");
  const url = useUrl();
  const act = useAct();
  const may = useMay("intel:write");
  const search = url.get("search");
  const list = usePages<Row>({ key: ["allowed", search], load: (page, signal) => answer(client.GET("/api/v1/threat-intel-allowlist", { params: { query: { ...(search ? { search } : {}), size: 100, page } as never }, signal })) });
  const [adding, setAdding] = useState(false);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "type", header: t("type"), width: "96px", cell: (r) => t(`type.${r.type}`) },
      { id: "value", header: t("value"), width: "minmax(180px, 1fr)", cell: (r) => <Value field={fieldOf(r.type)} value={r.value} className="mono" /> },
      { id: "reason", header: t("reason"), width: "minmax(140px, 1fr)", from: 640, cell: (r) => visible(r.reason) },
      { id: "by", header: forms("by"), width: "160px", from: 820, cell: (r) => visible(r.createdBy) },
      { id: "at", header: words("created"), width: "112px", align: "right", from: 720, cell: (r) => <Time at={r.createdAt} className="dim" /> },
      {
        id: "act",
        header: "",
        width: "96px",
        cell: (r) =>
          may ? (
            <Button
              size="compact-xs"
              variant="default"
              onClick={(e) => {
                e.stopPropagation();
                void act({ call: { method: "DELETE", url: `/api/v1/threat-intel-allowlist/${r.id}` }, undo: { method: "POST", url: "/api/v1/threat-intel-allowlist", body: { type: r.type, value: r.value, reason: r.reason } }, done: t("disallowed"), renews: [["allowed"], ["indicators"]] });
              }}
            >
              {forms("remove")}
            </Button>
          ) : null,
      },
    ],
    [t, forms, words, act, may],
  );
  const add = may ? (
    <Button size="xs" onClick={() => setAdding(true)}>
      {t("allowNew")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar facets={[]}>{add}</FilterBar>
      <Listing label={t("tab.allowed")} list={list} columns={columns} filters={["search"]} empty={{ title: t("noAllowed"), why: t("noAllowedWhy"), action: add }} />
      {adding ? <New onClose={() => setAdding(false)} /> : null}
    </>
  );
}

function New({ onClose }: { onClose: () => void }) {
  const t = useText("intelligence");
  const forms = useText("forms");
  const act = useAct();
  const [value, setValue] = useState("");
  const [reason, setReason] = useState("");
  return (
    <Dialog
      title={t("allowNew")}
      action={forms("create")}
      ready={value.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "POST", url: "/api/v1/threat-intel-allowlist", body: { value: value.trim(), reason: reason.trim() || undefined } }, done: t("allowed"), renews: [["allowed"], ["indicators"]] })) !== undefined}
    >
      <TextInput label={t("value")} description={t("allowWhy")} required value={value} onChange={(e) => setValue(e.currentTarget.value)} data-autofocus />
      <TextInput label={t("reason")} value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
    </Dialog>
  );
}
