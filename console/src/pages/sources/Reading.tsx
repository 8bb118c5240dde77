import { NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { Dialog } from "~/parts/Dialog";
import { Rows } from "~/parts/Facts";
import { linesOf } from "~/parts/lines";
import { Failed } from "~/parts/States";
import { term } from "~/parts/term";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import css from "./sources.module.css";

type Setting = Schema<"SettingItem">;
type Parsed = Schema<"ParsedItem">;
const formats = ["json", "cef", "leef", "kv", "plain"] as const;

/** What of a form was filled in. */
function kept<T extends Record<string, string | null | undefined>>(of: T): Partial<Record<keyof T, string>> {
  return Object.fromEntries(Object.entries(of).filter(([, v]) => v?.trim()).map(([k, v]) => [k, v!.trim()])) as Partial<Record<keyof T, string>>;
}

/** client = src_ip, one in each line; bad is the first that says nothing like it. */
function aliasesOf(text: string): { names: Record<string, string>; bad: string | undefined } {
  const names: Record<string, string> = {};
  let bad: string | undefined;
  for (const line of linesOf(text)) {
    const [from = "", to = "", more] = line.split("=").map((x) => x.trim());
    if (from === "" || to === "" || more !== undefined) bad ??= line;
    else names[from] = to;
  }
  return { names, bad };
}

/** Says how records are to be read from now on, and shows on lines of the source what comes
 *  of it while it is written. */
export function Reading({ of: now, source: ofSource = "", host: ofHost = "", onClose }: { of?: Setting; source?: string; host?: string; onClose: () => void }) {
  const t = useText("sources");
  const forms = useText("forms");
  const parts = useText("parts");
  const words = useText("words");
  const act = useAct();
  const [name, setName] = useState(now?.name ?? [ofSource, ofHost].filter(Boolean).join(" "));
  const [priority, setPriority] = useState(now?.priority ?? 100);
  const [match, setMatch] = useState({ source: now ? (now.match.source ?? "") : ofSource, host: now ? (now.match.host ?? "") : ofHost, program: now?.match.program ?? "" });
  const was = now?.apply;
  const [apply, setApply] = useState({ timeZone: was?.timeZone ?? "", parser: was?.parser ?? "", format: (was?.format ?? null) as string | null, source: was?.source ?? "", host: was?.host ?? "", hostPattern: was?.hostPattern ?? "", program: was?.program ?? "", programPattern: was?.programPattern ?? "" });
  const [aliases, setAliases] = useState(
    Object.entries(was?.aliases ?? {})
      .map(([from, to]) => `${from} = ${to}`)
      .join("\n"),
  );
  const zones = useMemo(() => ["UTC", ...Intl.supportedValuesOf("timeZone")], []);
  const { names, bad } = aliasesOf(aliases);
  const wanted = { ...kept(apply), ...(Object.keys(names).length > 0 ? { aliases: names } : {}) };
  const scope = { ...now?.match, ...{ source: undefined, host: undefined, program: undefined }, ...kept(match) };
  const field = (key: Exclude<keyof typeof apply, "format" | "timeZone">, label: string, more: { description?: string; placeholder?: string } = {}) => <TextInput label={label} {...more} value={apply[key]} onChange={(e) => setApply({ ...apply, [key]: e.currentTarget.value })} />;
  const url = `/api/v1/log-source-settings${now ? `/${now.id}` : ""}`;
  const body = { name: name.trim(), priority, match: JSON.parse(JSON.stringify(scope)) as object, apply: wanted };
  return (
    <Dialog
      wide
      title={now ? t("editReading") : t("newReading")}
      action={now ? parts("save") : forms("create")}
      ready={name.trim() !== "" && bad === undefined && Object.keys(wanted).length > 0}
      onClose={onClose}
      onSubmit={async () =>
        (await act({
          call: { method: now ? "PATCH" : "POST", url, body },
          undo: now ? { method: "PATCH", url, body: { name: now.name, priority: now.priority, match: now.match, apply: now.apply } } : undefined,
          done: forms("saved"),
          renews: [["log-source-settings"], ["log-sources"]],
        })) !== undefined
      }
    >
      <div className={css.two}>
        <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
        <NumberInput label={t("priority")} description={t("priorityWhy")} inputWrapperOrder={["label", "input", "description"]} min={0} max={1000} allowDecimal={false} value={priority} onChange={(v) => setPriority(Number(v) || 0)} />
      </div>
      <fieldset className={css.set}>
        <legend>{t("matchHead")}</legend>
        <div className={css.three}>
          <TextInput label={words("source")} placeholder={forms("all")} value={match.source} onChange={(e) => setMatch({ ...match, source: e.currentTarget.value })} />
          <TextInput label={words("host")} description={t("pattern")} inputWrapperOrder={["label", "input", "description"]} placeholder="web-*" value={match.host} onChange={(e) => setMatch({ ...match, host: e.currentTarget.value })} />
          <TextInput label={t("program")} placeholder={forms("all")} value={match.program} onChange={(e) => setMatch({ ...match, program: e.currentTarget.value })} />
        </div>
      </fieldset>
      <fieldset className={css.set}>
        <legend>{t("applyHead")}</legend>
        <div className={css.two}>
          <Select label={t("timeZone")} description={t("timeZoneWhy")} searchable clearable limit={60} placeholder="Asia/Seoul" value={apply.timeZone || null} onChange={(v) => setApply({ ...apply, timeZone: v ?? "" })} data={apply.timeZone && !zones.includes(apply.timeZone) ? [apply.timeZone, ...zones] : zones} />
          <Select label={t("format")} description={t("formatWhy")} clearable value={apply.format} onChange={(v) => setApply({ ...apply, format: v })} data={[...formats]} />
          {field("parser", t("parser"), { description: t("parserWhy"), placeholder: "nginx" })}
          {field("source", t("nameAs"), { description: t("nameAsWhy") })}
          {field("host", t("hostAs"))}
          {field("program", t("programAs"))}
          {field("hostPattern", t("hostPattern"), { placeholder: "node=(\\S+)" })}
          {field("programPattern", t("programPattern"))}
        </div>
        <Textarea label={t("aliases")} description={t("aliasesWhy")} error={bad === undefined ? undefined : t("aliasBad", { line: visible(bad) })} autosize minRows={2} maxRows={6} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} value={aliases} onChange={(e) => setAliases(e.currentTarget.value)} />
        <p className="dim" style={{ margin: "8px 0 0" }}>
          {t("maskIt")} <Link to={"/settings/masking" as "/"} style={{ textDecoration: "underline" }}>{t("toMasking")}</Link>
        </p>
      </fieldset>
      <Preview source={match.source} host={match.host} apply={wanted} />
    </Dialog>
  );
}

/** The same lines as they are read now, and as they would be. */
function Preview({ source, host, apply }: { source: string; host: string; apply: object }) {
  const t = useText("sources");
  const [written, setWritten] = useState<string>();
  const query = [source && term("source", source), host && !/[*?]/.test(host) && term("host", host)].filter(Boolean).join(" ");
  const stored = useQuery({
    queryKey: ["sources", "sample", query],
    enabled: query !== "",
    staleTime: 60_000,
    retry: false,
    queryFn: ({ signal }) => send<Schema<"SearchResult">>({ method: "POST", url: "/api/v1/siem/search", body: { query, limit: 3, fromTime: new Date(Date.now() - 7 * 86_400_000).toISOString(), toTime: new Date().toISOString() } }, signal),
  });
  const sample = written ?? (stored.data?.events ?? []).map((e) => String((e as Record<string, unknown>).raw ?? (e as Record<string, unknown>).message ?? "")).filter((l) => l && !l.includes("\n")).join("\n");
  const [asked] = useDebouncedValue(JSON.stringify({ text: sample, apply }), 400);
  const tried = useQuery({
    queryKey: ["sources", "tried", asked],
    enabled: sample.trim() !== "",
    placeholderData: keepPreviousData,
    retry: false,
    queryFn: async ({ signal }) => {
      const { text, apply: setting } = JSON.parse(asked) as { text: string; apply: object };
      if (text.trim() === "") return { before: [], after: [] };
      const parse = (settings: object[]) => send<{ records: Parsed[] }>({ method: "POST", url: "/api/v1/siem/parse", body: { text, ...(settings.length > 0 ? { settings } : {}) } }, signal);
      const before = await parse([]);
      const after = Object.keys(setting).length > 0 ? await parse([{ match: {}, apply: setting }]) : before;
      return { before: before.records, after: after.records };
    },
  });
  return (
    <fieldset className={css.set}>
      <legend>{t("preview")}</legend>
      <Textarea label={t("sample")} description={t("previewWhy")} autosize minRows={2} maxRows={6} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} value={sample} onChange={(e) => setWritten(e.currentTarget.value)} />
      {tried.error ? <Failed error={tried.error} retry={() => void tried.refetch()} /> : null}
      <div role="status" className={css.tried}>
        {(tried.data?.after ?? []).slice(0, 5).map((after, i) => (
          <Differences key={i} n={i + 1} before={tried.data!.before[i]} after={after} />
        ))}
      </div>
    </fieldset>
  );
}

function flat(r: Parsed | undefined): Record<string, string> {
  if (!r) return {};
  return { parser: r.parser, source: r.source, timestamp: r.timestamp, ...Object.fromEntries(Object.entries(r.fields).map(([k, v]) => [k, typeof v === "string" ? v : JSON.stringify(v)])) };
}

function Differences({ n, before, after }: { n: number; before: Parsed | undefined; after: Parsed }) {
  const t = useText("sources");
  const a = flat(before);
  const b = flat(after);
  const all = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const other = all.filter((k) => a[k] !== b[k]);
  return (
    <div>
      <b>{t("lineN", { n })}</b> <span className="dim">{other.length === 0 ? t("noChange") : t("sameFields", { n: all.length - other.length })}</span>
      {other.length > 0 ? (
        <Rows label={t("lineN", { n })} head={[t("field"), t("before"), t("after")]} rows={other.map((k) => ({ key: k, cells: [<span className="mono">{visible(k)}</span>, visible(a[k] ?? "–"), <b>{visible(b[k] ?? "–")}</b>] }))} />
      ) : null}
    </div>
  );
}
