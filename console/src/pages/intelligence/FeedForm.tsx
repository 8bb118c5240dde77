import { Button, NumberInput, PasswordInput, Select, TagsInput, TextInput } from "@mantine/core";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { Problem } from "~/api/problem";
import { send } from "~/api/send";
import { Dialog } from "~/parts/Dialog";
import { Pill } from "~/parts/Pill";
import { severities } from "~/parts/Severity";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

type Row = Schema<"FeedItem">;
const formats = ["plain", "csv", "stix", "taxii", "misp", "urlhaus", "threatfox", "feodotracker", "malwarebazaar"] as const;
const auths = ["bearer", "basic", "header"] as const;

/** A feed can be read for trial before it is kept. */
export function FeedForm({ of: r, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("intelligence");
  const forms = useText("forms");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const [now, setNow] = useState({ format: (r?.format ?? "plain") as string, name: r?.name ?? "", url: r?.url ?? "", collection: r?.collection ?? "", hours: (r?.interval ?? 3600) / 3600, ttlDays: r?.ttlDays ?? 0, confidence: r?.confidence ?? undefined, severity: r?.severity ?? "", tags: r?.tags ?? [], column: r?.columns.value ?? "", auth: "", secret: "", extra: "" });
  const set = (change: Partial<typeof now>) => setNow((n) => ({ ...n, ...change }));
  const [outcome, setOutcome] = useState<{ good: boolean; says: string }>();
  const body = {
    name: now.name.trim(),
    url: now.url.trim(),
    interval: Math.round(now.hours * 3600),
    ttlDays: now.ttlDays,
    tags: now.tags,
    ...(now.confidence === undefined ? {} : { confidence: now.confidence }),
    ...(now.severity === "" ? {} : { severity: now.severity }),
    ...(now.format === "taxii" ? { collection: now.collection.trim() } : {}),
    ...(now.format === "csv" && now.column.trim() !== "" ? { columns: { ...r?.columns, value: now.column.trim() } } : {}),
    ...(now.auth === "" ? {} : { auth: { type: now.auth, secret: now.secret, ...(now.auth === "basic" ? { username: now.extra } : now.auth === "header" ? { header: now.extra } : {}) } }),
  };
  const ready = now.name.trim() !== "" && now.url.trim() !== "" && (now.auth === "" || now.secret !== "");
  return (
    <Dialog
      wide
      title={r ? forms("change") : t("newFeed")}
      action={r ? parts("save") : forms("create")}
      ready={ready}
      onClose={onClose}
      onSubmit={async () => (await act({ call: r ? { method: "PATCH", url: `/api/v1/threat-intel-feeds/${r.id}`, body } : { method: "POST", url: "/api/v1/threat-intel-feeds", body: { ...body, format: now.format } }, done: forms("saved"), renews: [["feeds"]] })) !== undefined}
    >
      <TextInput label={forms("name")} required maxLength={100} value={now.name} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />
      <Select label={t("format")} allowDeselect={false} disabled={r !== undefined} value={now.format} data={formats.map((f) => ({ value: f, label: t(`format.${f}`) }))} onChange={(v) => v !== null && set({ format: v })} />
      <TextInput label={t("address")} required placeholder="https://" value={now.url} onChange={(e) => set({ url: e.currentTarget.value })} />
      {now.format === "taxii" ? <TextInput label={t("collection")} value={now.collection} onChange={(e) => set({ collection: e.currentTarget.value })} /> : null}
      {now.format === "csv" ? <TextInput label={t("valueColumn")} description={t("valueColumnWhy")} value={now.column} onChange={(e) => set({ column: e.currentTarget.value })} /> : null}
      <Select label={t("auth")} description={r?.authType ? t("authKept") : undefined} placeholder={r?.authType ? t("kept") : t("auth.none")} clearable value={now.auth === "" ? null : now.auth} data={auths.map((a) => ({ value: a, label: t(`auth.${a}`) }))} onChange={(v) => set({ auth: v ?? "" })} />
      {now.auth === "basic" || now.auth === "header" ? <TextInput label={now.auth === "basic" ? t("userName") : t("header")} value={now.extra} onChange={(e) => set({ extra: e.currentTarget.value })} /> : null}
      {now.auth === "" ? null : <PasswordInput label={t("secret")} required autoComplete="off" value={now.secret} onChange={(e) => set({ secret: e.currentTarget.value })} />}
      <NumberInput label={t("hoursBetween")} min={1 / 12} max={720} decimalScale={2} value={now.hours} onChange={(v) => v !== "" && set({ hours: Number(v) })} />
      <NumberInput label={t("ttlDays")} description={t("ttlWhy")} min={0} max={3650} value={now.ttlDays} onChange={(v) => v !== "" && set({ ttlDays: Number(v) })} />
      <NumberInput label={t("confidence")} placeholder={t("asFeedSays")} min={0} max={100} value={now.confidence ?? ""} onChange={(v) => set({ confidence: v === "" ? undefined : Number(v) })} />
      <Select label={words("severity")} placeholder={t("asFeedSays")} clearable value={now.severity === "" ? null : now.severity} data={severities.map((s) => ({ value: s, label: words(`severity.${s}`) }))} onChange={(v) => set({ severity: v ?? "" })} />
      <TagsInput label={t("tags")} value={now.tags} onChange={(tags) => set({ tags })} />
      <div style={{ display: "flex", gap: 12, alignItems: "center" }}>
        <Button
          size="xs"
          variant="default"
          disabled={!ready}
          onClick={() =>
            void send<Schema<"TrialOutBody">>(r ? { method: "POST", url: `/api/v1/threat-intel-feeds/${r.id}/test` } : { method: "POST", url: "/api/v1/threat-intel-feeds/test", body: { ...body, format: now.format } })
              .then((got) => setOutcome({ good: got.indicators.length > 0, says: t("trial", { n: got.indicators.length, read: got.read, first: got.indicators[0]?.value ?? got.firstProblem }) }))
              .catch((error: unknown) => setOutcome({ good: false, says: error instanceof Problem ? `${error.title} ${error.remedy}` : String(error) }))
          }
        >
          {r ? t("tryKept") : t("try")}
        </Button>
        {outcome ? (
          <span role="status">
            <Pill dot={outcome.good ? "good" : "bad"}>{outcome.good ? t("state.ok") : t("state.failing")}</Pill> {visible(outcome.says)}
          </span>
        ) : null}
      </div>
    </Dialog>
  );
}
