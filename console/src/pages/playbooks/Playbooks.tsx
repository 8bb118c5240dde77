import { Button, SegmentedControl, Switch } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { runDots, runStates, type Row, type Run } from "./data";
import { Editor } from "./Editor";
import css from "./playbooks.module.css";
import { RunContent } from "./RunContent";

/** What answers by itself, and what it did: runs that ask for a person come first. */
export default function Playbooks() {
  const t = useText("playbooks");
  const url = useUrl();
  const tab = url.get("tab") === "runs" ? "runs" : "playbooks";
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl size="xs" aria-label={t("title")} transitionDuration={0} value={tab} onChange={(v) => url.set({ tab: v === "runs" ? v : undefined, open: undefined, status: undefined, search: undefined })} data={(["playbooks", "runs"] as const).map((value) => ({ value, label: t(`tab.${value}`) }))} />
      </PageHead>
      {tab === "runs" ? <Runs /> : <List />}
    </>
  );
}

function List() {
  const t = useText("playbooks");
  const forms = useText("forms");
  const words = useText("words");
  const url = useUrl();
  const act = useAct();
  const navigate = useNavigate();
  const language = useLanguage();
  const may = useMay("playbooks:write");
  const search = url.get("search");
  const list = usePages<Row>({ key: ["playbooks", "list", search], load: (page, signal) => answer(client.GET("/api/v1/playbooks", { params: { query: { size: 100, page, ...(search ? { search } : {}) } }, signal })) });
  const [making, setMaking] = useState(false);
  const columns = useMemo<Column<Row>[]>(
    () => [
      {
        id: "name",
        header: forms("name"),
        width: "minmax(220px, 1fr)",
        cell: (r) => (
          <span className={css.two}>
            <Raw text={r.name} />
            <Raw text={r.description} />
          </span>
        ),
      },
      { id: "trigger", header: t("trigger"), width: "168px", from: 640, cell: (r) => t(`trigger.${r.trigger.event}`) },
      { id: "outside", header: t("outside"), width: "152px", from: 820, cell: (r) => (r.outsideSteps.length === 0 ? <span className="dim">{t("inside")}</span> : <Pill dot={r.allowOutside ? "warn" : "off"}>{r.allowOutside ? t("allowed") : t("notAllowed")}</Pill>) },
      { id: "runs", header: t("runs"), width: "72px", align: "right", from: 560, cell: (r) => r.runs.toLocaleString(language) },
      { id: "last", header: t("lastRun"), width: "104px", align: "right", from: 720, cell: (r) => (r.lastRunAt ? <Time at={r.lastRunAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
      {
        id: "on",
        header: words("status"),
        width: "80px",
        cell: (r) => (
          <Switch
            size="xs"
            aria-label={r.name}
            disabled={!may}
            checked={r.status === "enabled"}
            onChange={() => {
              const on = r.status === "enabled";
              void act({ call: { method: "PATCH", url: `/api/v1/playbooks/${r.id}`, body: { enabled: !on } }, undo: { method: "PATCH", url: `/api/v1/playbooks/${r.id}`, body: { enabled: on } }, done: on ? forms("switchedOff") : forms("switchedOn"), renews: [["playbooks"]] });
            }}
          />
        ),
      },
    ],
    [t, forms, words, language, may, act],
  );
  return (
    <>
      <FilterBar facets={[]}>
        {may ? (
          <Button size="xs" onClick={() => setMaking(true)}>
            {t("new")}
          </Button>
        ) : null}
      </FilterBar>
      <Listing label={t("title")} list={list} columns={columns} filters={["search"]} rowHeight={48} empty={{ title: t("none"), why: t("noneWhy") }} onOpen={(r) => void navigate({ to: `/playbooks/${r.id}` as "/" })} />
      {making ? <Editor onClose={() => setMaking(false)} /> : null}
    </>
  );
}

/** The log of runs, of one playbook or of all. */
export function Runs({ playbook }: { playbook?: string }) {
  const t = useText("playbooks");
  const words = useText("words");
  const url = useUrl();
  const status = url.all("status");
  const list = usePages<Run>({ key: ["playbook-runs", playbook, status], load: (page, signal) => answer(client.GET("/api/v1/playbook-runs", { params: { query: { size: 100, page, status, ...(playbook ? { playbookId: playbook } : {}) } as never }, signal })) });
  const columns = useMemo<Column<Run>[]>(
    () => [
      { id: "status", header: words("status"), width: "156px", cell: (r) => <Pill dot={runDots[r.status]}>{t(`run.${r.status}`)}</Pill> },
      { id: "name", header: t("playbook"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.playbook} /> },
      { id: "trigger", header: t("trigger"), width: "168px", from: 640, cell: (r) => t(`trigger.${r.trigger as "manual"}`) },
      { id: "why", header: t("reason"), width: "minmax(120px, 1fr)", from: 820, cell: (r) => <Raw text={r.reason} className="dim" /> },
      { id: "at", header: t("began"), width: "112px", align: "right", cell: (r) => <Time at={r.startedAt ?? r.createdAt} className="dim" /> },
    ],
    [t, words],
  );
  return (
    <>
      <FilterBar search={false} facets={[{ id: "status", label: words("status"), options: runStates.map((s) => ({ value: s, label: t(`run.${s}`) })) }]} />
      <Listing label={t("tab.runs")} list={list} columns={columns} filters={["status"]} empty={{ title: t("noRuns"), why: t("noRunsWhy") }} panel={(id) => <RunContent id={id} />} />
    </>
  );
}
