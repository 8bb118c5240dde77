import { Button, Checkbox, Group, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Block } from "~/parts/Facts";
import { linesOf } from "~/parts/lines";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { toastFault } from "~/parts/Toasts";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./settings.module.css";

type Row = Schema<"MaskingItem">;
const patterns = ["email", "card", "resident_number", "phone_kr"] as const;
const actions = ["mask", "hash", "remove"] as const;

/** What is made unreadable before anything is stored. */
export default function Masking() {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("sources:write");
  const list = usePages<Row>({ key: ["masking"], load: (page, signal) => answer(client.GET("/api/v1/masking-rules", { params: { query: { size: 100, page } }, signal })) });
  const stats = useQuery({ queryKey: ["masking", "stats"], queryFn: ({ signal }) => answer(client.GET("/api/v1/masking-rules/stats", { signal })) });
  const masked = Object.values(stats.data?.masked ?? {}).reduce((sum, n) => sum + n, 0);
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(140px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "what", header: t("what"), width: "minmax(160px, 1fr)", cell: (r) => visible([...r.patterns.map((p) => t(`pattern.${p}`)), ...r.fields].join(", ")) },
      { id: "action", header: t("how"), width: "112px", from: 560, cell: (r) => t(`mask.${r.action}`) },
      { id: "where", header: t("where"), width: "minmax(96px, 160px)", from: 680, cell: (r) => visible([r.source, r.host].filter(Boolean).join(" · ")) || <span className="dim">{forms("all")}</span> },
      { id: "status", header: words("status"), width: "88px", cell: (r) => <Pill dot={r.enabled ? "good" : "off"}>{r.enabled ? forms("enabled") : forms("disabled")}</Pill> },
      { id: "updated", header: words("updated"), width: "104px", align: "right", from: 820, cell: (r) => <Time at={r.updatedAt} className="dim" /> },
    ],
    [t, forms, words],
  );
  return (
    <>
      <Top why={`${t("maskingWhy")} ${stats.data ? t("maskedSoFar", { n: masked }) : ""}`}>
        {may ? (
          <Button size="xs" onClick={() => setEditing("new")}>
            {t("newMask")}
          </Button>
        ) : null}
      </Top>
      <Listing label={t("section.masking")} list={list} columns={columns} empty={{ title: t("noMasks"), why: t("maskingWhy") }} onOpen={(r) => may && setEditing(r)} />
      {editing ? <Edit rule={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Edit({ rule, onClose }: { rule: Row | undefined; onClose: () => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const [name, setName] = useState(rule?.name ?? "");
  const [action, setAction] = useState<string>(rule?.action ?? "mask");
  const [found, setFound] = useState<string[]>(rule?.patterns ?? ["email"]);
  const [fields, setFields] = useState((rule?.fields ?? []).join("\n"));
  const [source, setSource] = useState(rule?.source ?? "");
  const [host, setHost] = useState(rule?.host ?? "");
  const [lines, setLines] = useState("");
  const [shown, setShown] = useState<string>();
  const body = { name: name.trim(), action, patterns: found, fields: linesOf(fields), source: source.trim(), host: host.trim() };
  const path = `/api/v1/masking-rules${rule ? `/${rule.id}` : ""}`;
  return (
    <Dialog
      wide
      title={rule ? forms("change") : t("newMask")}
      action={rule ? parts("save") : forms("create")}
      ready={name.trim() !== "" && (found.length > 0 || body.fields.length > 0)}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: rule ? "PATCH" : "POST", url: path, body }, done: forms("saved"), renews: [["masking"]] })) !== undefined}
    >
      {rule ? (
        <Group gap="xs">
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => {
              void act({ call: { method: "PATCH", url: path, body: { enabled: !rule.enabled } }, undo: { method: "PATCH", url: path, body: { enabled: rule.enabled } }, done: rule.enabled ? forms("switchedOff") : forms("switchedOn"), renews: [["masking"]] });
              onClose();
            }}
          >
            {rule.enabled ? forms("switchOff") : forms("switchOn")}
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() =>
              void confirm({ title: forms("delete"), text: t("deleteMaskWhy", { name: rule.name }), action: forms("delete") }).then(async (yes) => {
                if (!yes) return;
                await act({ call: { method: "DELETE", url: path }, done: forms("deleted"), renews: [["masking"]] });
                onClose();
              })
            }
          >
            {forms("delete")}
          </Button>
        </Group>
      ) : null}
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Checkbox.Group label={t("what")} value={found} onChange={setFound}>
        <Group gap="md" mt={6}>
          {patterns.map((p) => (
            <Checkbox key={p} value={p} label={t(`pattern.${p}`)} />
          ))}
        </Group>
      </Checkbox.Group>
      <Textarea label={`${t("maskFields")} (${forms("optional")})`} description={forms("linesWhy")} autosize minRows={1} maxRows={5} value={fields} onChange={(e) => setFields(e.currentTarget.value)} />
      <Select label={t("how")} value={action} onChange={(v) => v && setAction(v)} data={actions.map((a) => ({ value: a, label: `${t(`mask.${a}`)}: ${t(`maskWhy.${a}`)}` }))} />
      <Group grow>
        <TextInput label={`${words("source")} (${forms("optional")})`} value={source} onChange={(e) => setSource(e.currentTarget.value)} />
        <TextInput label={`${words("host")} (${forms("optional")})`} value={host} onChange={(e) => setHost(e.currentTarget.value)} />
      </Group>
      <Textarea label={t("tryLines")} description={t("tryLinesWhy")} autosize minRows={2} maxRows={6} value={lines} onChange={(e) => setLines(e.currentTarget.value)} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} />
      <div className={css.buttons}>
        <Button
          size="xs"
          variant="default"
          disabled={lines.trim() === ""}
          onClick={() =>
            void send<Schema<"MaskingPreviewOutBody">>({ method: "POST", url: "/api/v1/masking-rules/preview", body: { lines: lines.split("\n").filter((l) => l !== ""), rules: [{ ...body, enabled: true }], ...(body.source ? { source: body.source } : {}) } })
              .then((got) => setShown(got.lines.map((l) => l.masked).join("\n")))
              .catch((error: unknown) => toastFault(parts("actFailed"), error))
          }
        >
          {t("tryIt")}
        </Button>
      </div>
      {shown === undefined ? null : <Block label={t("tryIt")} text={visible(shown)} />}
    </Dialog>
  );
}
