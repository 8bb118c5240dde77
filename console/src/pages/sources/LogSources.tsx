import { Button, NumberInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { duration } from "~/time/time";
import { useUrl } from "~/url/url";

import { Reading } from "./Reading";
import css from "./sources.module.css";

type Row = Schema<"LogSourceItem">;
type Detail = Schema<"LogSourceDetail">;
const states = ["active", "silent", "new", "collector_offline"] as const;
const dots = { active: "good", silent: "bad", new: "todo", collector_offline: "warn" } as const;
const filters = ["search", "status"] as const;

/** What each host sends of each product, found out by itself. */
export function LogSources() {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const url = useUrl();
  const query = { search: url.get("search"), status: url.all("status") };
  const list = usePages<Row>({ key: ["log-sources", query], load: (page, signal) => answer(client.GET("/api/v1/log-sources", { params: { query: { ...(query.search ? { search: query.search } : {}), ...(query.status.length > 0 ? { status: query.status } : {}), size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(() => {
    const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
    return [
      { id: "source", header: words("source"), width: "minmax(120px, 1fr)", cell: (r) => <Raw text={r.source} /> },
      { id: "host", header: words("host"), width: "minmax(120px, 1fr)", cell: (r) => <Raw text={r.host} /> },
      { id: "status", header: words("status"), width: "144px", cell: (r) => <Pill dot={dots[r.status]}>{t(`log.${r.status}`)}</Pill> },
      { id: "rate", header: t("perHour"), width: "104px", align: "right", from: 560, cell: (r) => r.eventsPerHour.toLocaleString(language, { maximumFractionDigits: 1 }) },
      { id: "unparsed", header: t("unparsed"), width: "112px", align: "right", from: 640, cell: (r) => <span className={r.unparsedShare > 0.2 ? css.bad : undefined}>{share.format(r.unparsedShare)}</span> },
      { id: "format", header: t("format"), width: "112px", from: 760, cell: (r) => <Raw text={r.format} className="mono" /> },
      { id: "last", header: t("lastSeen"), width: "120px", from: 480, cell: (r) => <Time at={r.lastSeen} className="dim" /> },
      { id: "proposals", header: "", width: "104px", from: 820, cell: (r) => (r.proposals > 0 ? <Pill dot="warn">{t("proposals", { n: r.proposals })}</Pill> : null) },
    ];
  }, [t, words, language]);
  return (
    <>
      <FilterBar facets={[{ id: "status", label: words("status"), options: states.map((s) => ({ value: s, label: t(`log.${s}`) })) }]} />
      <Listing label={t("tab.logs")} list={list} columns={columns} filters={filters} empty={{ title: t("noLogs"), why: t("logsWhy") }} panel={(id) => <One id={id} />} />
    </>
  );
}

function One({ id }: { id: string }) {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("sources:write");
  const act = useAct();
  const [asking, setAsking] = useState<"silence" | "reading">();
  const at = `/api/v1/log-sources/${id}`;
  const q = useQuery({ queryKey: ["log-sources", "one", id], queryFn: ({ signal }) => send<Detail>({ method: "GET", url: at }, signal) });
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  if (!q.data) return <Loading />;
  const s = q.data;
  const renews = [["log-sources"], ["log-source-settings"]];
  const share = s.unparsedShare.toLocaleString(language, { style: "percent", maximumFractionDigits: 1 });
  return (
    <>
      <section>
        <h2>
          <Raw text={[s.source, s.host].filter(Boolean).join(" · ")} />
        </h2>
        <br />
        <Facts
          of={[
            [words("status"), <Pill dot={dots[s.status]}>{t(`log.${s.status}`)}</Pill>],
            [t("silentSince"), s.silentSince ? <Time at={s.silentSince} /> : null],
            [t("silence"), s.muted ? t("muted") : s.silenceLimit === null ? t("notKnown") : `${duration(s.silenceLimit)} (${s.silentAfter === null ? t("learned") : t("set")})`],
            [t("perHour"), s.eventsPerHour.toLocaleString(language, { maximumFractionDigits: 1 })],
            [words("events"), s.events.toLocaleString(language)],
            [t("unparsed"), `${share} (${s.unparsed.toLocaleString(language)})`],
            [t("format"), visible(s.format)],
            [t("parser"), visible(s.parser)],
            [t("programs"), visible(s.programs.join(", "))],
            [t("door"), visible(s.input)],
            [t("peer"), visible(s.peer)],
            [t("firstSeen"), <Time at={s.firstSeen} />],
            [t("lastSeen"), <Time at={s.lastSeen} />],
            [t("timeQuality"), Object.entries(s.timeQuality).map(([k, v]) => `${visible(k)} ${v.toLocaleString(language)}`).join(", ")],
          ]}
        />
        {may ? (
          <div className={css.buttons}>
            <Button size="compact-xs" variant="default" onClick={() => void act({ call: { method: "PATCH", url: at, body: { muted: !s.muted } }, undo: { method: "PATCH", url: at, body: { muted: s.muted } }, done: s.muted ? t("unmuted") : t("muted"), renews })}>
              {s.muted ? t("unmute") : t("mute")}
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => setAsking("silence")}>
              {t("setSilence")}
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => setAsking("reading")}>
              {t("newReading")}
            </Button>
          </div>
        ) : null}
      </section>
      {s.proposalList.filter((p) => p.state === "open").map((p) => (
        <section key={p.number}>
          <h2>{t(`proposal.${p.kind}`, { zone: p.timeZone })}</h2>
          <p>
            <Raw text={p.evidence} />
          </p>
          <p className="dim">{t("proposalFrom", { n: p.samples })}</p>
          {may ? (
            <div className={css.buttons}>
              {p.kind === "time_zone" ? (
                <Button size="compact-xs" onClick={() => void act({ call: { method: "POST", url: `${at}/proposals/${p.number}/accept` }, done: t("accepted"), renews })}>
                  {t("accept")}
                </Button>
              ) : null}
              <Button size="compact-xs" variant="default" onClick={() => void act({ call: { method: "POST", url: `${at}/proposals/${p.number}/dismiss` }, done: t("dismissed"), renews })}>
                {t("dismiss")}
              </Button>
            </div>
          ) : null}
        </section>
      ))}
      {asking === "silence" ? <Silence at={at} now={s.silentAfter} onClose={() => setAsking(undefined)} /> : null}
      {asking === "reading" ? <Reading source={s.source} host={s.host} onClose={() => setAsking(undefined)} /> : null}
    </>
  );
}

function Silence({ at, now, onClose }: { at: string; now: number | null; onClose: () => void }) {
  const t = useText("sources");
  const parts = useText("parts");
  const forms = useText("forms");
  const act = useAct();
  const [minutes, setMinutes] = useState(now === null ? 0 : Math.round(now / 60));
  return (
    <Dialog
      title={t("setSilence")}
      action={parts("save")}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "PATCH", url: at, body: { silentAfter: minutes * 60 } }, undo: { method: "PATCH", url: at, body: { silentAfter: now ?? 0 } }, done: forms("saved"), renews: [["log-sources"]] })) !== undefined}
    >
      <NumberInput label={t("silenceMinutes")} description={t("silenceWhy")} min={0} max={43_200} allowDecimal={false} value={minutes} onChange={(v) => setMinutes(Number(v) || 0)} data-autofocus />
    </Dialog>
  );
}
