import { Button, Checkbox, Group, NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Deliveries } from "~/parts/Deliveries";
import { Dialog } from "~/parts/Dialog";
import { Facts } from "~/parts/Facts";
import { linesOf } from "~/parts/lines";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { toast } from "~/parts/Toasts";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { zoneNow } from "~/time/time";


type Row = Schema<"ChannelItem">;
const kinds = ["email", "slack", "teams", "discord", "webhook"] as const;
const dots = { active: "good", failing: "warn", disabled: "off" } as const;

export function useChannels() {
  return usePages<Row>({ key: ["channels"], load: (page, signal) => answer(client.GET("/api/v1/notification-channels", { params: { query: { size: 100, page } }, signal })) });
}

/** Where people are told: mail and chat. */
export function Channels() {
  const t = useText("notifications");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("channels:write");
  const list = useChannels();
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "kind", header: t("kind"), width: "120px", cell: (r) => t(`kind.${r.kind}`) },
      { id: "to", header: t("to"), width: "minmax(140px, 1fr)", from: 640, cell: (r) => <Raw text={r.to.join(", ") || (r.host ?? "")} className="dim" /> },
      { id: "status", header: words("status"), width: "120px", cell: (r) => <Pill dot={dots[r.status]}>{t(`status.${r.status}`)}</Pill> },
      { id: "last", header: t("lastSuccess"), width: "112px", align: "right", from: 720, cell: (r) => (r.lastSuccessAt ? <Time at={r.lastSuccessAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
    ],
    [t, forms, words],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("newChannel")}
    </Button>
  ) : null;
  return (
    <>
      <Top why={t("channelsWhy")}>{create}</Top>
      <Listing
        label={t("tab.channels")}
        list={list}
        columns={columns}
        empty={{ title: t("noChannels"), why: t("channelsWhy"), action: create }}
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
                    [t("to"), visible(r.to.join(", ") || (r.host ?? ""))],
                    [words("status"), <Pill dot={dots[r.status]}>{t(`status.${r.status}`)}</Pill>],
                    [t("why"), r.disabledReason ? visible(r.disabledReason) : null],
                    [t("lastError"), r.lastError ? visible(r.lastError) : null],
                    [t("quiet"), r.quietHours ? `${r.quietHours.from}–${r.quietHours.to} ${r.quietHours.timeZone}` : null],
                    [t("digest"), r.digest.above > 0 ? t("digestSays", { n: r.digest.above, minutes: r.digest.minutes }) : null],
                  ]}
                />
              </section>
            ) : null}
            <Deliveries path={`/api/v1/notification-channels/${id}`} replay={may} />
          </>
        )}
      />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Actions({ of: r, onEdit, onGone }: { of: Row; onEdit: () => void; onGone: () => void }) {
  const t = useText("notifications");
  const forms = useText("forms");
  const act = useAct();
  const url = `/api/v1/notification-channels/${r.id}`;
  const renews = [["channels"], ["deliveries", url]];
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      {button(forms("test"), () => void act<Schema<"TestResult">>({ call: { method: "POST", url: `${url}/test` }, done: t("testSent"), renews }).then((got) => got && toast(got.success ? forms("testDone") : forms("testFailed", { why: got.error ?? String(got.response.status ?? "") }))))}
      {button(forms("change"), onEdit)}
      {button(r.enabled ? forms("switchOff") : forms("switchOn"), () =>
        void act({ call: { method: "PATCH", url, body: { enabled: !r.enabled } }, undo: { method: "PATCH", url, body: { enabled: r.enabled } }, done: r.enabled ? forms("switchedOff") : forms("switchedOn"), renews }),
      )}
      {button(forms("delete"), () =>
        void confirm({ title: forms("delete"), text: t("deleteChannelWhy", { name: r.name }), action: forms("delete") }).then(async (yes) => {
          if (!yes) return;
          await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews });
          onGone();
        }),
      )}
    </>
  );
}

function Edit({ of: row, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("notifications");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const [kind, setKind] = useState<Row["kind"]>(row?.kind ?? "email");
  const [name, setName] = useState(row?.name ?? "");
  const [to, setTo] = useState((row?.to ?? []).join("\n"));
  const [address, setAddress] = useState("");
  const [connector, setConnector] = useState(row?.connectorId ?? "");
  const [quiet, setQuiet] = useState(row?.quietHours !== undefined);
  const [from, setFrom] = useState(row?.quietHours?.from ?? "22:00");
  const [until, setUntil] = useState(row?.quietHours?.to ?? "07:00");
  const [above, setAbove] = useState(row?.digest.above ?? 0);
  const connectors = useQuery({ queryKey: ["connectors", "smtp"], enabled: kind === "email", queryFn: ({ signal }) => answer(client.GET("/api/v1/connectors", { params: { query: { size: 100, kind: ["smtp"] } as never }, signal })) });
  const mail = kind === "email";
  const ready = name.trim() !== "" && (mail ? linesOf(to).length > 0 && connector !== "" : row !== undefined || address.trim() !== "");
  return (
    <Dialog
      title={row ? forms("change") : t("newChannel")}
      action={row ? parts("save") : forms("create")}
      ready={ready}
      onClose={onClose}
      onSubmit={async () => {
        const body = {
          ...(row ? {} : { kind }),
          name: name.trim(),
          ...(mail ? { to: linesOf(to), connectorId: connector } : address.trim() === "" ? {} : { url: address.trim() }),
          ...(quiet ? { quietHours: { from, to: until, timeZone: row?.quietHours?.timeZone ?? zoneNow(), except: row?.quietHours?.except ?? ["critical"] } } : {}),
          digest: { above, minutes: row?.digest.minutes || 10 },
        };
        return (await act({ call: { method: row ? "PATCH" : "POST", url: `/api/v1/notification-channels${row ? `/${row.id}` : ""}`, body }, done: forms("saved"), renews: [["channels"]] })) !== undefined;
      }}
    >
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Select label={t("kind")} disabled={row !== undefined} value={kind} onChange={(v) => v && setKind(v as Row["kind"])} data={kinds.map((k) => ({ value: k, label: t(`kind.${k}`) }))} />
      {mail ? (
        <>
          <Select label={t("mailServer")} required placeholder={connectors.data?.content.length === 0 ? t("noMailServer") : ""} value={connector || null} onChange={(v) => setConnector(v ?? "")} data={(connectors.data?.content ?? []).map((c) => ({ value: c.id, label: c.name }))} />
          <Textarea label={t("to")} description={forms("linesWhy")} required autosize minRows={2} maxRows={6} value={to} onChange={(e) => setTo(e.currentTarget.value)} />
        </>
      ) : (
        <TextInput label={t("address")} type="url" required={!row} placeholder={row ? t("addressKept") : "https://"} value={address} onChange={(e) => setAddress(e.currentTarget.value)} />
      )}
      <Checkbox label={t("quietHours")} checked={quiet} onChange={(e) => setQuiet(e.currentTarget.checked)} />
      {quiet ? (
        <Group grow>
          <TextInput type="time" label={t("from")} value={from} onChange={(e) => setFrom(e.currentTarget.value)} />
          <TextInput type="time" label={t("until")} value={until} onChange={(e) => setUntil(e.currentTarget.value)} />
        </Group>
      ) : null}
      <NumberInput label={t("digestAbove")} description={t("digestWhy")} min={0} max={1000} value={above} onChange={(v) => setAbove(Number(v) || 0)} />
    </Dialog>
  );
}
