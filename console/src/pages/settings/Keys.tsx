import { Button, Radio, Stack, Textarea, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog, Once } from "~/parts/Dialog";
import { Block } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { linesOf } from "~/parts/lines";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Top } from "~/parts/Top";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Expiry, endOf } from "./Expiry";
import css from "./settings.module.css";

type Row = Schema<"KeyItem">;
export const states = ["active", "expired", "revoked"] as const;
export const stateDots = { active: "good", expired: "off", revoked: "off" } as const;
const scopes = ["read-only", "read-write"] as const;

/** Keys for scripts and other systems: shown once, revoked at once. */
export default function Keys() {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("keys:write");
  const url = useUrl();
  const filter = { status: url.all("status"), scope: url.all("scope"), ...(url.get("search") ? { search: url.get("search") } : {}) };
  const list = usePages<Row>({ key: ["api-keys", filter], load: (page, signal) => answer(client.GET("/api/v1/api-keys", { params: { query: { ...filter, size: 100, page } as never }, signal })) });
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<string>();
  const act = useAct();
  const revoke = async (r: Row) => {
    if (await confirm({ title: t("revokeKey", { name: r.name }), text: t("revokeKeyWhy"), action: t("revoke") })) await act({ call: { method: "DELETE", url: `/api/v1/api-keys/${r.id}` }, done: t("revoked", { name: r.name }), renews: [["api-keys"]] });
  };
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Two first={<Raw text={r.name} />} second={<span className="mono">{r.prefix}…</span>} /> },
      { id: "scope", header: t("scope"), width: "120px", cell: (r) => t(`scope.${r.scope}`) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={stateDots[r.status]}>{t(`state.${r.status}`)}</Pill> },
      { id: "used", header: forms("lastUsed"), width: "112px", from: 560, cell: (r) => (r.lastUsedAt ? <Time at={r.lastUsedAt} className="dim" /> : <span className="dim">{t("unused")}</span>) },
      { id: "expires", header: forms("expires"), width: "112px", from: 640, cell: (r) => (r.expiresAt ? <Time at={r.expiresAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
      { id: "by", header: forms("by"), width: "minmax(96px, 160px)", from: 820, cell: (r) => <Raw text={r.createdBy} className={css.two!} /> },
      ...(may
        ? [
            {
              id: "act",
              header: "",
              width: "96px",
              align: "right" as const,
              cell: (r: Row) =>
                r.status === "active" ? (
                  <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void revoke(r)}>
                    {t("revoke")}
                  </Button>
                ) : null,
            },
          ]
        : []),
    ],
    [t, forms, words, may],
  );
  return (
    <>
      <Top why={t("keysWhy")}>
        {may ? (
          <Button size="xs" onClick={() => setMaking(true)}>
            {t("newKey")}
          </Button>
        ) : null}
      </Top>
      <FilterBar
        facets={[
          { id: "status", label: words("status"), options: states.map((s) => ({ value: s, label: t(`state.${s}`) })) },
          { id: "scope", label: t("scope"), options: scopes.map((s) => ({ value: s, label: t(`scope.${s}`) })) },
        ]}
      />
      <Listing label={t("section.keys")} list={list} columns={columns} filters={["status", "scope", "search"]} empty={{ title: t("noKeys"), why: t("keysWhy") }} rowHeight={48} />
      {making ? <NewKey onClose={() => setMaking(false)} onMade={setMade} /> : null}
      {made ? (
        <Once title={t("keyMade")} why={t("keyOnce")} value={made} onClose={() => setMade(undefined)}>
          <Block label="curl" text={`export KEY='${made}'\ncurl -H "Authorization: Bearer $KEY" '${window.location.origin}/api/v1/alerts?size=5'`} />
        </Once>
      ) : null}
    </>
  );
}

export function Two({ first, second }: { first: React.ReactNode; second: React.ReactNode }) {
  return (
    <span className={css.two}>
      <span>{first}</span>
      <span>{second}</span>
    </span>
  );
}

function NewKey({ onClose, onMade }: { onClose: () => void; onMade: (key: string) => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const act = useAct();
  const [name, setName] = useState("");
  const [scope, setScope] = useState("read-only");
  const [expiry, setExpiry] = useState("90");
  const [nets, setNets] = useState("");
  return (
    <Dialog
      title={t("newKey")}
      action={forms("create")}
      ready={name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const cidrs = linesOf(nets);
        const got = await act<Schema<"NewKey">>({ call: { method: "POST", url: "/api/v1/api-keys", body: { name: name.trim(), scope, ...endOf(expiry), ...(cidrs.length > 0 ? { allowedCidrs: cidrs } : {}) } }, done: t("keyMade"), renews: [["api-keys"]] });
        if (got) onMade(got.key);
        return got !== undefined;
      }}
    >
      <TextInput label={forms("name")} description={t("keyNameWhy")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Radio.Group label={t("scope")} value={scope} onChange={setScope}>
        <Stack gap="xs" mt="xs">
          {scopes.map((s) => (
            <Radio key={s} size="xs" value={s} label={t(`scope.${s}`)} description={t(`scopeWhy.${s}`)} />
          ))}
        </Stack>
      </Radio.Group>
      <Expiry value={expiry} onChange={setExpiry} />
      <Textarea label={t("cidrs")} description={t("cidrsWhy")} placeholder="203.0.113.0/24" autosize minRows={1} maxRows={6} value={nets} onChange={(e) => setNets(e.currentTarget.value)} />
    </Dialog>
  );
}
