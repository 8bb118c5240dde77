import { Button, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog, Once } from "~/parts/Dialog";
import { Block } from "~/parts/Facts";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Top } from "~/parts/Top";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Expiry, endOf } from "./Expiry";
import { stateDots, Two } from "./Keys";

type Row = Schema<"IngestTokenItem">;

/** Tokens that may send logs and nothing else. */
export default function Ingest() {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("keys:write");
  const list = usePages<Row>({ key: ["ingest-tokens"], load: (page, signal) => answer(client.GET("/api/v1/ingest-tokens", { params: { query: { size: 100, page } }, signal })) });
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<string>();
  const act = useAct();
  const columns = useMemo<Column<Row>[]>(() => {
    const revoke = async (r: Row) => {
      if (await confirm({ title: t("revokeKey", { name: r.name }), text: t("revokeTokenWhy"), action: t("revoke") })) await act({ call: { method: "DELETE", url: `/api/v1/ingest-tokens/${r.id}` }, done: t("revoked", { name: r.name }), renews: [["ingest-tokens"]] });
    };
    return [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Two first={<Raw text={r.name} />} second={<span className="mono">{r.prefix}…</span>} /> },
      { id: "source", header: words("source"), width: "minmax(96px, 160px)", from: 560, cell: (r) => (r.source ? <Raw text={r.source} /> : <span className="dim">{forms("all")}</span>) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={stateDots[r.status]}>{t(`state.${r.status}`)}</Pill> },
      { id: "used", header: forms("lastUsed"), width: "112px", from: 640, cell: (r) => (r.lastUsedAt ? <Time at={r.lastUsedAt} className="dim" /> : <span className="dim">{t("unused")}</span>) },
      { id: "expires", header: forms("expires"), width: "112px", from: 720, cell: (r) => (r.expiresAt ? <Time at={r.expiresAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
      {
        id: "act",
        header: "",
        width: "96px",
        align: "right",
        cell: (r) =>
          may && r.status === "active" ? (
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void revoke(r)}>
              {t("revoke")}
            </Button>
          ) : null,
      },
    ];
  }, [t, forms, words, may, act]);
  return (
    <>
      <Top why={t("ingestWhy")}>
        {may ? (
          <Button size="xs" onClick={() => setMaking(true)}>
            {t("newToken")}
          </Button>
        ) : null}
      </Top>
      <Listing label={t("section.ingest")} list={list} columns={columns} empty={{ title: t("noTokens"), why: t("ingestWhy") }} rowHeight={48} />
      {making ? <NewToken onClose={() => setMaking(false)} onMade={setMade} /> : null}
      {made ? (
        <Once title={t("tokenMade")} why={t("tokenOnce")} value={made} onClose={() => setMade(undefined)}>
          <Block label="curl" text={`curl -H 'Authorization: Bearer ${made}' --data-binary @/var/log/auth.log '${window.location.origin}/ingest/hec/services/collector/raw'`} />
        </Once>
      ) : null}
    </>
  );
}

function NewToken({ onClose, onMade }: { onClose: () => void; onMade: (token: string) => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const act = useAct();
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [expiry, setExpiry] = useState("never");
  return (
    <Dialog
      title={t("newToken")}
      action={forms("create")}
      ready={name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const got = await act<Schema<"NewIngestToken">>({ call: { method: "POST", url: "/api/v1/ingest-tokens", body: { name: name.trim(), ...endOf(expiry), ...(source.trim() === "" ? {} : { source: source.trim() }) } }, done: t("tokenMade"), renews: [["ingest-tokens"]] });
        if (got) onMade(got.token);
        return got !== undefined;
      }}
    >
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <TextInput label={`${words("source")} (${forms("optional")})`} description={t("sourceWhy")} value={source} onChange={(e) => setSource(e.currentTarget.value)} />
      <Expiry value={expiry} onChange={setExpiry} />
    </Dialog>
  );
}
