import { Button, Textarea, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay, useSession } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Identifiers, type Identifier } from "./Identifiers";
import css from "./privacy.module.css";

type Row = Schema<"HoldItem">;

/** What must be kept whatever anybody asks: no erasure and no retention touches it. */
export function Holds() {
  const t = useText("privacy");
  const forms = useText("forms");
  const words = useText("words");
  const act = useAct();
  const may = useMay("privacy:write");
  const list = usePages<Row>({ key: ["dsr", "holds"], load: (page, signal) => answer(client.GET("/api/v1/dsr/holds", { params: { query: { size: 100, page } }, signal })) });
  const [making, setMaking] = useState(false);
  const columns = useMemo<Column<Row>[]>(() => {
    const release = async (r: Row) => {
      if (await confirm({ title: t("release"), text: t("releaseWhy", { name: r.name }), action: t("release") })) await act({ call: { method: "DELETE", url: `/api/v1/dsr/holds/${r.id}` }, done: t("released"), renews: [["dsr"]] });
    };
    return [
      {
        id: "name",
        header: forms("name"),
        width: "minmax(180px, 1fr)",
        cell: (r) => (
          <span className={css.two}>
            <span>{visible(r.name)}</span>
            <span>{visible(r.reason)}</span>
          </span>
        ),
      },
      { id: "what", header: t("identifiers"), width: "minmax(140px, 1fr)", from: 640, cell: (r) => visible(r.identifiers.map((i) => i.value).join(", ")) || <span className="dim">{forms("all")}</span> },
      { id: "owner", header: t("owner"), width: "140px", from: 560, cell: (r) => visible(r.owner) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={r.active ? "good" : "off"}>{r.active ? t("holding") : t("releasedState")}</Pill> },
      { id: "until", header: t("until"), width: "112px", from: 720, cell: (r) => (r.until ? <Time at={r.until} className="dim" /> : <span className="dim">{forms("always")}</span>) },
      {
        id: "act",
        header: "",
        width: "96px",
        align: "right",
        cell: (r) =>
          may && r.active ? (
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void release(r)}>
              {t("release")}
            </Button>
          ) : null,
      },
    ];
  }, [t, forms, words, may, act]);
  const create = may ? (
    <Button size="xs" onClick={() => setMaking(true)}>
      {t("newHold")}
    </Button>
  ) : null;
  return (
    <>
      <Top why={t("holdsWhy")}>{create}</Top>
      <Listing label={t("tab.holds")} list={list} columns={columns} rowHeight={48} empty={{ title: t("noHolds"), why: t("holdsWhy"), action: create }} />
      {making ? <NewHold onClose={() => setMaking(false)} /> : null}
    </>
  );
}

function NewHold({ onClose }: { onClose: () => void }) {
  const t = useText("privacy");
  const forms = useText("forms");
  const act = useAct();
  const { user } = useSession();
  const [name, setName] = useState("");
  const [owner, setOwner] = useState(user.email);
  const [reason, setReason] = useState("");
  const [ids, setIds] = useState<Identifier[]>([{ type: "email", value: "" }]);
  const filled = ids.filter((i) => i.value.trim() !== "").map((i) => ({ ...i, value: i.value.trim() }));
  return (
    <Dialog
      wide
      title={t("newHold")}
      action={forms("create")}
      ready={name.trim() !== "" && owner.trim() !== "" && reason.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "POST", url: "/api/v1/dsr/holds", body: { name: name.trim(), owner: owner.trim(), reason: reason.trim(), ...(filled.length > 0 ? { identifiers: filled } : {}) } }, done: t("holdMade"), renews: [["dsr"]] })) !== undefined}
    >
      <TextInput label={forms("name")} required value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <TextInput label={t("owner")} required value={owner} onChange={(e) => setOwner(e.currentTarget.value)} />
      <Textarea label={t("reason")} required autosize minRows={2} maxRows={6} value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
      <Identifiers value={ids} onChange={setIds} />
      <p style={{ margin: 0 }} className="dim">
        {t("holdAllWhy")}
      </p>
    </Dialog>
  );
}
