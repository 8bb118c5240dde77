import { Checkbox, Group, NumberInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useSession } from "~/api/session";
import { Dialog } from "~/parts/Dialog";
import { useLanguage, useText } from "~/text/text";
import { zoneNow } from "~/time/time";

import type { Report } from "./Reports";

export const kinds = ["executive", "incident", "compliance", "threatLandscape"] as const;
const rhythms = ["onDemand", "daily", "weekly", "monthly"] as const;

/** A report: once for a period, or kept with a rhythm and a channel that gets it. */
export function Edit({ of: row, once = false, onClose, onJob }: { of?: Report | undefined; once?: boolean; onClose: () => void; onJob: (id: string) => void }) {
  const t = useText("reports");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const language = useLanguage();
  const { rights } = useSession();
  const [name, setName] = useState(row?.name ?? "");
  const [kind, setKind] = useState<Report["kind"]>(row?.kind ?? "executive");
  const [framework, setFramework] = useState(row?.framework ?? "ISMSP");
  const [every, setEvery] = useState<Report["every"]>(row?.every ?? "monthly");
  const [at, setAt] = useState(row?.at ?? "07:00");
  const [weekday, setWeekday] = useState(row?.weekday || 1);
  const [day, setDay] = useState(row?.dayOfMonth || 1);
  const [lang, setLang] = useState<"en" | "ko">(row?.language ?? (language === "ko" ? "ko" : "en"));
  const [formats, setFormats] = useState<string[]>(row?.formats ?? ["pdf"]);
  const [channel, setChannel] = useState(row?.channelId ?? "");
  const [from, setFrom] = useState(new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10));
  const [to, setTo] = useState(new Date().toISOString().slice(0, 10));
  const frameworks = useQuery({ queryKey: ["compliance", "frameworks", undefined], enabled: kind === "compliance", queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/frameworks", { signal })) as unknown as Promise<{ id: string; name: string }[]> });
  const channels = useQuery({ queryKey: ["channels", "email"], enabled: !once && rights.includes("channels:read"), queryFn: ({ signal }) => answer(client.GET("/api/v1/notification-channels", { params: { query: { size: 100 } }, signal })) });
  const mail = (channels.data?.content ?? []).filter((c) => c.kind === "email");
  const common = { name: name.trim() || t(`kind.${kind}`), kind, language: lang, formats, timeZone: row?.timeZone ?? zoneNow(), ...(kind === "compliance" ? { framework } : {}) };
  const weekdays = [1, 2, 3, 4, 5, 6, 7].map((d) => ({ value: String(d), label: new Intl.DateTimeFormat(language, { weekday: "long", timeZone: "UTC" }).format(Date.UTC(2024, 0, d)) }));
  return (
    <Dialog
      title={row ? forms("change") : once ? t("makeOne") : t("new")}
      action={row ? parts("save") : once ? t("make") : forms("create")}
      ready={formats.length > 0 && (once || name.trim() !== "")}
      onClose={onClose}
      onSubmit={async () => {
        if (once) {
          const body = { ...common, from: new Date(`${from}T00:00:00Z`).toISOString(), to: new Date(Math.min(Date.now(), Date.parse(`${to}T00:00:00Z`) + 86_400_000)).toISOString() };
          const got = await act<Schema<"JobDetail">>({ call: { method: "POST", url: "/api/v1/report-runs", body }, done: t("making"), renews: [["report-runs"]] });
          if (got) onJob(got.id);
          return got !== undefined;
        }
        const body = { ...common, every, at, ...(every === "weekly" ? { weekday } : {}), ...(every === "monthly" ? { dayOfMonth: day } : {}), channelId: channel };
        return (await act({ call: { method: row ? "PATCH" : "POST", url: `/api/v1/reports${row ? `/${row.id}` : ""}`, body }, done: forms("saved"), renews: [["reports"]] })) !== undefined;
      }}
    >
      <Select label={t("kind")} description={t(`kindWhy.${kind}`)} disabled={row !== undefined} value={kind} onChange={(v) => v && setKind(v as Report["kind"])} data={kinds.map((k) => ({ value: k, label: t(`kind.${k}`) }))} />
      <TextInput label={forms("name")} required={!once} maxLength={100} placeholder={t(`kind.${kind}`)} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      {kind === "compliance" ? <Select label={t("framework")} value={framework} onChange={(v) => v && setFramework(v)} data={(frameworks.data ?? []).map((f) => ({ value: f.id, label: f.name }))} /> : null}
      {once ? (
        <Group grow>
          <TextInput type="date" label={t("from")} value={from} max={to} onChange={(e) => setFrom(e.currentTarget.value)} />
          <TextInput type="date" label={t("to")} value={to} min={from} onChange={(e) => setTo(e.currentTarget.value)} />
        </Group>
      ) : (
        <>
          <Group grow>
            <Select label={t("every")} value={every} onChange={(v) => v && setEvery(v as Report["every"])} data={rhythms.map((r) => ({ value: r, label: t(`every.${r}`) }))} />
            {every === "onDemand" ? null : <TextInput type="time" label={t("at")} value={at} onChange={(e) => setAt(e.currentTarget.value)} />}
          </Group>
          {every === "weekly" ? <Select label={t("weekday")} value={String(weekday)} onChange={(v) => v && setWeekday(Number(v))} data={weekdays} /> : null}
          {every === "monthly" ? <NumberInput label={t("dayOfMonth")} min={1} max={28} value={day} onChange={(v) => setDay(Number(v) || 1)} /> : null}
          <Select label={t("channel")} clearable value={channel || null} onChange={(v) => setChannel(v ?? "")} placeholder={t("noChannel")} data={mail.map((c) => ({ value: c.id, label: c.name }))} />
        </>
      )}
      <Group grow align="flex-start">
        <Select label={t("language")} value={lang} onChange={(v) => v && setLang(v as "en")} data={[{ value: "en", label: "English" }, { value: "ko", label: "한국어" }]} />
        <Checkbox.Group label={t("formats")} value={formats} onChange={setFormats}>
          <Group mt={8}>
            <Checkbox value="pdf" label="PDF" />
            <Checkbox value="csv" label="CSV" />
          </Group>
        </Checkbox.Group>
      </Group>
    </Dialog>
  );
}
