import { Button, FileInput, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import { send, sendFile } from "~/api/send";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Block, Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { linesOf } from "~/parts/lines";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl, writeQuery } from "~/url/url";

import { useCollect } from "./Collect";
import css from "./compliance.module.css";
import { measured, resultDots, useFrameworks, useTitles, type Evidence } from "./data";
import { Tabs } from "./Tabs";

const filters = ["framework", "control", "check", "result", "kind"] as const;
type Verified = Schema<"EvidenceCheckOutBody">;

/** Everything that checks found and people handed in: chained, so that a change would show. */
export default function EvidencePage() {
  const t = useText("compliance");
  const words = useText("words");
  const url = useUrl();
  const may = useMay("compliance:write");
  const language = useLanguage();
  const frameworks = useFrameworks(undefined).data ?? [];
  const { button, progress } = useCollect();
  const query = { ...Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, url.get(n)])), lang: useTitles() };
  const list = usePages<Evidence>({ key: ["compliance", "evidence", query], load: (page, signal) => answer(client.GET("/api/v1/compliance/evidence", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const [adding, setAdding] = useState(false);
  const columns = useMemo<Column<Evidence>[]>(
    () => [
      { id: "title", header: words("title"), width: "minmax(200px, 1fr)", cell: (e) => <span className={css.two}><span>{visible(e.title)}</span><span>{visible(e.reason ?? e.note)}</span></span> },
      { id: "result", header: t("result"), width: "112px", cell: (e) => (e.result ? <Pill dot={resultDots[e.result as "pass"]}>{t(`result.${e.result as "pass"}`)}</Pill> : <Pill>{t("kind.manual")}</Pill>) },
      { id: "value", header: t("value"), width: "120px", align: "right", from: 720, cell: (e) => (e.value === null ? "" : measured(e.value, e.unit, language)) },
      { id: "serves", header: t("serves"), width: "96px", align: "right", from: 640, cell: (e) => t("count", { n: e.frameworkRefs.length }) },
      { id: "at", header: t("collected"), width: "112px", align: "right", cell: (e) => <Time at={e.collectedAt} className="dim" /> },
    ],
    [t, words, language],
  );
  return (
    <>
      <PageHead title={t("title")}>
        <Tabs now="evidence" />
      </PageHead>
      <FilterBar
        search={false}
        facets={[
          { id: "framework", label: t("framework") },
          { id: "control", label: t("control") },
          { id: "check", label: t("check") },
          { id: "result", label: t("result") },
          { id: "kind", label: t("kind") },
        ]}
        lead={
          <>
            <Choice label={t("framework")} name="framework" options={frameworks.map((f) => [f.id, f.name])} />
            <Choice label={t("result")} name="result" options={(["pass", "partial", "fail", "noData"] as const).map((r) => [r, t(`result.${r}`)])} />
            <Choice label={t("kind")} name="kind" options={(["automatic", "manual"] as const).map((k) => [k, t(`kind.${k}`)])} />
          </>
        }
      >
        <Verify path="/api/v1/compliance/evidence/verify" />
        <Button size="xs" variant="default" component="a" href={`/api/v1/compliance/evidence/bundle${writeQuery({ framework: url.get("framework") })}`} download>
          {t("bundle")}
        </Button>
        {may ? (
          <Button size="xs" variant="default" onClick={() => setAdding(true)}>
            {t("handIn")}
          </Button>
        ) : null}
        {button}
      </FilterBar>
      {progress}
      <Listing label={t("evidence")} list={list} columns={columns} filters={filters} rowHeight={48} empty={{ title: t("noEvidence"), why: t("noEvidenceWhy"), action: button }} panel={(id) => <About id={id} />} />
      {adding ? <HandIn onClose={() => setAdding(false)} /> : null}
    </>
  );
}

/** One value of several, where the API takes only one. */
function Choice({ label, name, options }: { label: string; name: string; options: (readonly [string, string])[] }) {
  const url = useUrl();
  return (
    <select className={css.select} aria-label={label} value={url.get(name) ?? ""} onChange={(e) => url.set({ [name]: e.currentTarget.value === "" ? undefined : e.currentTarget.value })}>
      <option value="">{label}</option>
      {options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  );
}

function Verify({ path }: { path: string }) {
  const t = useText("compliance");
  const [told, setTold] = useState<string>();
  const [busy, setBusy] = useState(false);
  const parts = useText("parts");
  return (
    <>
      <Button
        size="xs"
        variant="default"
        loading={busy}
        onClick={() => {
          setBusy(true);
          void send<Verified>({ method: "GET", url: path })
            .then((body) => setTold(body.intact ? t("intact", { n: body.records }) : t("broken", { n: body.flaws.length, what: body.flaws[0]?.what ?? "" })))
            .catch((error: unknown) => toastFault(parts("actFailed"), error))
            .finally(() => setBusy(false));
        }}
      >
        {t("verify")}
      </Button>
      <span role="status" className="dim">
        {told}
      </span>
    </>
  );
}

function About({ id }: { id: string }) {
  const t = useText("compliance");
  const forms = useText("forms");
  const language = useLanguage();
  const lang = useTitles();
  const q = useQuery({ queryKey: ["compliance", "evidence", "one", id, lang], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/evidence/{id}", { params: { path: { id }, query: { lang } }, signal })) });
  if (q.isPending) return <Loading rows={8} />;
  if (q.error) return <Failed error={q.error} />;
  const e = q.data;
  const byFramework = new Map<string, string[]>();
  for (const r of e.frameworkRefs) byFramework.set(r.framework, [...(byFramework.get(r.framework) ?? []), r.control]);
  return (
    <>
      <header className={css.controlHead}>
        <h2>{visible(e.title)}</h2>
        <div className={css.line}>
          {e.result ? <Pill dot={resultDots[e.result as "pass"]}>{t(`result.${e.result as "pass"}`)}</Pill> : <Pill>{t("kind.manual")}</Pill>}
          {e.value === null ? null : (
            <b>
              {measured(e.value, e.unit, language)}
            </b>
          )}
          {e.threshold ? (
            <span className="dim">
              {t("threshold")} {visible(e.threshold)}
            </span>
          ) : null}
          {e.stale ? <span className={css.warn}>{t("stale")}</span> : null}
        </div>
        <p>{visible(e.reason ?? e.note)}</p>
        <div className={css.line}>
          {e.artifact ? (
            <Button size="xs" variant="default" component="a" href={`/api/v1/compliance/evidence/${id}/artifact`} download>
              {forms("download")} ({e.artifact.bytes.toLocaleString(language)} B)
            </Button>
          ) : null}
          <Verify path={`/api/v1/compliance/evidence/${id}/verify`} />
        </div>
      </header>
      <Facts
        of={[
          [t("collected"), <Time at={e.collectedAt} exactly />],
          [t("period"), <><Time at={e.periodFrom} exactly /> – <Time at={e.periodTo} exactly /></>],
          [t("until"), e.validUntil ? <Time at={e.validUntil} exactly /> : forms("always")],
          [t("populationName"), e.population ? `${e.population.definition}: ${e.population.size.toLocaleString(language)}` : null],
          [t("resources"), e.resources.length > 0 ? visible(e.resources.join(", ")) : null],
          [t("redactions"), e.redactions.length > 0 ? visible(e.redactions.join(", ")) : null],
          [t("handedInBy"), e.handedInBy ? visible(e.handedInBy) : null],
          [t("collector"), `${e.collector.service} ${e.collector.version} · ${e.collector.host}`],
        ]}
      />
      {e.method ? (
        <section>
          <h2>{t("method")}</h2>
          <br />
          <Block label={t("method")} text={visible(e.method)} />
        </section>
      ) : null}
      <section>
        <h2>{t("serves")}</h2>
        <br />
        <Facts
          of={[...byFramework].map(([framework, controls]) => [
            framework,
            <span className={css.chips}>
              {controls.map((c) => (
                <Link key={c} to={`/compliance/framework/${framework}` as "/"} search={{ open: c } as never}>
                  {c}
                </Link>
              ))}
            </span>,
          ])}
        />
      </section>
      <section>
        <h2>{t("chain")}</h2>
        <br />
        <Facts
          of={[
            [t("number"), e.seq.toLocaleString(language)],
            ["SHA-256", <span className="mono">{e.contentHash}</span>],
            [t("before"), <span className="mono">{e.prevHash || "–"}</span>],
            [t("link"), <span className="mono">{e.hash}</span>],
            [t("auditEntry"), e.auditSeq.toLocaleString(language)],
          ]}
        />
      </section>
    </>
  );
}

function HandIn({ onClose }: { onClose: () => void }) {
  const t = useText("compliance");
  const words = useText("words");
  const parts = useText("parts");
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState("");
  const [controls, setControls] = useState("");
  const [note, setNote] = useState("");
  const ids = linesOf(controls);
  return (
    <Dialog
      title={t("handIn")}
      action={t("handIn")}
      ready={file !== null && ids.length > 0}
      onClose={onClose}
      onSubmit={async () => {
        try {
          await sendFile(`/api/v1/compliance/evidence${writeQuery({ controls: ids, title: title.trim() || file!.name, note: note.trim() || undefined })}`, file!);
          toast(t("handedIn"));
          void queries.invalidateQueries({ queryKey: ["compliance"] });
          return true;
        } catch (error) {
          toastFault(parts("actFailed"), error);
          return false;
        }
      }}
    >
      <FileInput label={t("file")} required value={file} onChange={setFile} placeholder={t("chooseFile")} />
      <TextInput label={words("title")} maxLength={200} value={title} onChange={(e) => setTitle(e.currentTarget.value)} />
      <Textarea label={t("controls")} description={t("controlsWhy")} placeholder="ISMSP/2.9.4" required autosize minRows={1} maxRows={6} value={controls} onChange={(e) => setControls(e.currentTarget.value)} />
      <Textarea label={t("notes")} autosize minRows={2} maxRows={6} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
    </Dialog>
  );
}
