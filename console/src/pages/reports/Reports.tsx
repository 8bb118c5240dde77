import { Button, SegmentedControl } from "@mantine/core";
import { useCallback, useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Job } from "~/parts/Job";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useStored } from "~/url/stored";
import { useUrl } from "~/url/url";

import { Edit, kinds } from "./Edit";

export type Report = Schema<"ReportItem">;
type Run = Schema<"ReportRun">;
const dots = { QUEUED: "todo", RUNNING: "doing", DONE: "good", FAILED: "bad", CANCELLED: "off" } as const;

/** What is made on schedule or when asked, and everything that was made. */
export default function Reports() {
  const t = useText("reports");
  const url = useUrl();
  const [job, setJob] = useStored<string>("reportJob", "");
  const tab = url.get("tab") === "schedules" ? "schedules" : "made";
  const onEnd = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ["report-runs"] });
    setTimeout(() => setJob(""), 4_000);
  }, [setJob]);
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl size="xs" aria-label={t("title")} transitionDuration={0} value={tab} onChange={(v) => url.set({ tab: v === "made" ? undefined : v, open: undefined, kind: undefined })} data={(["made", "schedules"] as const).map((value) => ({ value, label: t(`tab.${value}`) }))} />
      </PageHead>
      {job === "" ? null : <Job key={job} id={job} label={t("making")} onEnd={onEnd} />}
      {tab === "made" ? <Made onJob={setJob} /> : <Schedules onJob={setJob} />}
    </>
  );
}

function Made({ onJob }: { onJob: (id: string) => void }) {
  const t = useText("reports");
  const forms = useText("forms");
  const words = useText("words");
  const url = useUrl();
  const language = useLanguage();
  const may = useMay("reports:write");
  const kind = url.all("kind");
  const list = usePages<Run>({ key: ["report-runs", kind], load: (page, signal) => answer(client.GET("/api/v1/report-runs", { params: { query: { size: 100, page, kind } as never }, signal })) });
  const [making, setMaking] = useState(false);
  const columns = useMemo<Column<Run>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "kind", header: t("kind"), width: "160px", from: 560, cell: (r) => t(`kind.${r.kind}`) },
      { id: "period", header: t("period"), width: "200px", from: 820, cell: (r) => <span className="dim">{`${r.from.slice(0, 10)} – ${r.to.slice(0, 10)}`}</span> },
      { id: "state", header: words("status"), width: "112px", cell: (r) => <Pill dot={dots[r.state]}>{forms(`job.${r.state}`)}</Pill> },
      {
        id: "files",
        header: forms("download"),
        width: "136px",
        cell: (r) => (
          <span style={{ display: "flex", gap: 4 }}>
            {r.files.map((f) => (
              <Button key={f.format} size="compact-xs" variant="default" component="a" href={`/api/v1/report-runs/${r.id}/file?format=${f.format}`} download={f.name} title={`${f.name}, ${f.bytes.toLocaleString(language)} B`}>
                {f.format.toUpperCase()}
              </Button>
            ))}
          </span>
        ),
      },
      { id: "at", header: words("created"), width: "104px", align: "right", from: 640, cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, forms, words, language],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setMaking(true)}>
      {t("makeOne")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar search={false} facets={[{ id: "kind", label: t("kind"), options: kinds.map((k) => ({ value: k, label: t(`kind.${k}`) })) }]}>
        {create}
      </FilterBar>
      <Listing
        label={t("tab.made")}
        list={list}
        columns={columns}
        filters={["kind"]}
        empty={{ title: t("none"), why: t("noneWhy"), action: create }}
        panel={(_, r) =>
          r ? (
            <>
              <h2>
                <Raw text={r.name} />
              </h2>
              <Facts
                of={[
                  [t("kind"), t(`kind.${r.kind}`)],
                  [words("status"), <Pill dot={dots[r.state]}>{forms(`job.${r.state}`)}</Pill>],
                  [t("why"), r.reason ? visible(r.reason) : null],
                  [t("period"), <><Time at={r.from} exactly /> – <Time at={r.to} exactly /></>],
                  [t("sent"), r.delivery ? `${t(`sent.${r.delivery as "sent"}`)} ${visible(r.deliveryError)}` : null],
                  [words("created"), <><Time at={r.createdAt} /> · {visible(r.createdBy)}</>],
                  ...r.files.map((f) => [f.format.toUpperCase(), <><a href={`/api/v1/report-runs/${r.id}/file?format=${f.format}`} download={f.name}>{f.name}</a><br /><span className="mono dim">SHA-256 {f.sha256}</span></>] as const),
                ]}
              />
            </>
          ) : null
        }
      />
      {making ? <Edit once onClose={() => setMaking(false)} onJob={onJob} /> : null}
    </>
  );
}

function Schedules({ onJob }: { onJob: (id: string) => void }) {
  const t = useText("reports");
  const forms = useText("forms");
  const words = useText("words");
  const act = useAct();
  const may = useMay("reports:write");
  const list = usePages<Report>({ key: ["reports"], load: (page, signal) => answer(client.GET("/api/v1/reports", { params: { query: { size: 100, page } }, signal })) });
  const [editing, setEditing] = useState<Report | "new">();
  const columns = useMemo<Column<Report>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "kind", header: t("kind"), width: "160px", cell: (r) => t(`kind.${r.kind}`) },
      { id: "every", header: t("every"), width: "120px", cell: (r) => t(`every.${r.every}`) },
      { id: "next", header: t("next"), width: "128px", from: 640, cell: (r) => (r.nextAt ? <Time at={r.nextAt} className="dim" /> : <span className="dim">{t("asked")}</span>) },
      { id: "status", header: words("status"), width: "88px", from: 560, cell: (r) => <Pill dot={r.enabled ? "good" : "off"}>{r.enabled ? forms("enabled") : forms("disabled")}</Pill> },
    ],
    [t, forms, words],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("new")}
    </Button>
  ) : null;
  const renews = [["reports"], ["report-runs"]];
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      <FilterBar search={false} facets={[]}>
        {create}
      </FilterBar>
      <Listing
        label={t("tab.schedules")}
        list={list}
        columns={columns}
        empty={{ title: t("noSchedules"), why: t("noSchedulesWhy"), action: create }}
        panelActions={(id, r, close) =>
          r && may ? (
            <>
              {button(t("runNow"), () => void act<Schema<"JobDetail">>({ call: { method: "POST", url: `/api/v1/reports/${id}/run`, body: {} }, done: t("making"), renews }).then((got) => got && onJob(got.id)))}
              {button(forms("change"), () => setEditing(r))}
              {button(r.enabled ? forms("switchOff") : forms("switchOn"), () =>
                void act({ call: { method: "PATCH", url: `/api/v1/reports/${id}`, body: { enabled: !r.enabled } }, undo: { method: "PATCH", url: `/api/v1/reports/${id}`, body: { enabled: r.enabled } }, done: r.enabled ? forms("switchedOff") : forms("switchedOn"), renews }),
              )}
              {button(forms("delete"), () =>
                void confirm({ title: forms("delete"), text: t("deleteWhy", { name: r.name }), action: forms("delete") }).then(async (yes) => {
                  if (!yes) return;
                  await act({ call: { method: "DELETE", url: `/api/v1/reports/${id}` }, done: forms("deleted"), renews });
                  close();
                }),
              )}
            </>
          ) : null
        }
        panel={(_, r) =>
          r ? (
            <>
              <h2>
                <Raw text={r.name} />
              </h2>
              <Facts
                of={[
                  [t("kind"), t(`kind.${r.kind}`)],
                  [t("framework"), r.framework],
                  [t("every"), `${t(`every.${r.every}`)}${r.every === "onDemand" ? "" : `, ${r.at} ${r.timeZone}`}`],
                  [t("next"), r.nextAt ? <Time at={r.nextAt} exactly /> : null],
                  [t("formats"), r.formats.join(", ").toUpperCase()],
                  [words("created"), <><Time at={r.createdAt} /> · {visible(r.createdBy)}</>],
                ]}
              />
            </>
          ) : null
        }
      />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} onJob={onJob} /> : null}
    </>
  );
}
