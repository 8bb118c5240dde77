import { Button, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { Block, Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

type Row = Schema<"JobItem">;
const states = ["QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"] as const;
const dots = { QUEUED: "todo", RUNNING: "doing", DONE: "good", FAILED: "bad", CANCELLED: "off" } as const;
const filters = ["state"] as const;

const goesOn = (r: Row) => r.state === "QUEUED" || r.state === "RUNNING";

/** Long work of the server: what goes on, how far it is, and the way to end it. */
export default function Jobs() {
  const t = useText("jobs");
  const forms = useText("forms");
  const words = useText("words");
  const url = useUrl();
  const chosen = url.all("state");
  const list = usePages<Row>({ key: ["jobs", "list", chosen], every: (rows) => (rows.some(goesOn) ? 2_000 : false), load: (page, signal) => answer(client.GET("/api/v1/jobs", { params: { query: { size: 100, page, ...(chosen.length > 0 ? { state: chosen } : {}) } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "kind", header: t("kind"), width: "minmax(140px, 1fr)", cell: (r) => <Raw text={r.kind} className="mono" /> },
      { id: "state", header: words("status"), width: "132px", cell: (r) => <Pill dot={dots[r.state]}>{forms(`job.${r.state}`)}</Pill> },
      { id: "progress", header: t("progress"), width: "minmax(120px, 240px)", from: 560, cell: (r) => (goesOn(r) ? <Share of={r} /> : <Raw text={r.reason} className="dim" />) },
      { id: "by", header: t("by"), width: "minmax(120px, 200px)", from: 760, cell: (r) => <Raw text={r.createdBy.replace(/^user:/, "")} className="dim" /> },
      { id: "at", header: words("created"), width: "104px", align: "right", cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, forms, words],
  );
  return (
    <>
      <PageHead title={t("title")} />
      <FilterBar search={false} facets={[{ id: "state", label: words("status"), options: states.map((s) => ({ value: s as string, label: forms(`job.${s}`) })) }]}>
        <span className="dim" role="status">
          {list.rows.length > 0 ? t("why") : ""}
        </span>
      </FilterBar>
      <Listing label={t("title")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("why") }} panelActions={(_, r) => (r && goesOn(r) ? <Cancel of={r} /> : null)} panel={(id) => <One id={id} />} />
    </>
  );
}

function Share({ of: r }: { of: Row }) {
  const t = useText("jobs");
  const { done, total } = r.progress;
  return <Progress value={total > 0 ? (100 * done) / total : 0} aria-label={t("progress")} transitionDuration={0} w="100%" />;
}

function Cancel({ of: r }: { of: Row }) {
  const parts = useText("parts");
  const forms = useText("forms");
  const act = useAct();
  const may = useMay("jobs:write");
  return (
    <Button size="compact-xs" variant="default" disabled={!may || r.cancelling} onClick={() => void act({ call: { method: "DELETE", url: `/api/v1/jobs/${r.id}` }, done: forms("job.CANCELLED"), renews: [["jobs"]] })}>
      {parts("cancel")}
    </Button>
  );
}

function One({ id }: { id: string }) {
  const t = useText("jobs");
  const forms = useText("forms");
  const words = useText("words");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["jobs", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/jobs/{id}", { params: { path: { id } }, signal })), refetchInterval: (of) => (of.state.data && of.state.data.endedAt === null ? 1_000 : false) });
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const j = q.data;
  if (!j) return <Loading />;
  const { done, total, note } = j.progress;
  const result = (j as { result?: unknown }).result;
  return (
    <>
      <section>
        <h2>
          <Raw text={j.kind} />
        </h2>
        <br />
        <Facts
          of={[
            [words("status"), <Pill dot={dots[j.state]}>{forms(`job.${j.state}`)}</Pill>],
            [t("progress"), total > 0 ? `${done.toLocaleString(language)} / ${total.toLocaleString(language)} ${visible(note)}` : visible(note)],
            [t("reason"), visible(j.reason)],
            [t("subject"), j.subject ? <Raw text={j.subject} className="mono" /> : null],
            [t("by"), visible(j.createdBy)],
            [words("created"), <Time at={j.createdAt} />],
            [t("started"), j.startedAt ? <Time at={j.startedAt} /> : null],
            [t("ended"), j.endedAt ? <Time at={j.endedAt} /> : null],
            [t("attempt"), j.attempt > 1 ? j.attempt : null],
          ]}
        />
      </section>
      {result !== undefined && result !== null ? (
        <section>
          <h2>{t("result")}</h2>
          <Block label={t("result")} text={visible(JSON.stringify(result, null, 2)).slice(0, 20_000)} />
        </section>
      ) : null}
    </>
  );
}
