import { Button, FileButton } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import { fileCurl, send, sendFile } from "~/api/send";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { duration } from "~/time/time";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { FeedForm } from "./FeedForm";

type Row = Schema<"FeedItem">;
const dots = { new: "todo", ok: "good", failing: "bad", running: "doing", disabled: "off" } as const;

/** Where indicators come from by themselves. */
export function Feeds() {
  const t = useText("intelligence");
  const forms = useText("forms");
  const words = useText("words");
  const language = useLanguage();
  const url = useUrl();
  const may = useMay("intel:write");
  const search = url.get("search");
  const list = usePages<Row>({ key: ["feeds", search], load: (page, signal) => answer(client.GET("/api/v1/threat-intel-feeds", { params: { query: { ...(search ? { search } : {}), size: 100, page } as never }, signal })) });
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "format", header: t("format"), width: "128px", from: 640, cell: (r) => t(`format.${r.format}`) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={dots[r.status]}>{t(`state.${r.status}`)}</Pill> },
      { id: "n", header: t("tab.indicators"), width: "112px", align: "right", cell: (r) => r.activeIndicators.toLocaleString(language) },
      { id: "last", header: t("lastRun"), width: "112px", align: "right", from: 720, cell: (r) => (r.lastRunAt ? <Time at={r.lastRunAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
      { id: "error", header: t("fault"), width: "minmax(120px, 1fr)", from: 960, cell: (r) => (r.lastError ? <Raw text={r.lastError} className="dim" /> : "") },
    ],
    [t, forms, words, language],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("newFeed")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar facets={[]}>{create}</FilterBar>
      <Listing
        label={t("tab.feeds")}
        list={list}
        columns={columns}
        filters={["search"]}
        empty={{ title: t("noFeeds"), why: t("noFeedsWhy"), action: create }}
        panelActions={(_, r, close) => (r && may ? <Actions of={r} onEdit={() => setEditing(r)} onGone={close} /> : null)}
        panel={(_, r) => (r ? <FeedContent of={r} /> : null)}
      />
      {editing ? <FeedForm of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Actions({ of: r, onEdit, onGone }: { of: Row; onEdit: () => void; onGone: () => void }) {
  const t = useText("intelligence");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const url = `/api/v1/threat-intel-feeds/${r.id}`;
  const renews = [["feeds"], ["indicators"]];
  // The call succeeds when the run has ended; what went wrong with the feed stands in its answer.
  const run = () =>
    void send<Row>({ method: "POST", url: `${url}/run` })
      .then((f) => toast(f.lastError ? t("runFailed", { why: visible(f.lastError) }) : t("ran")))
      .catch((error: unknown) => toastFault(parts("actFailed"), error))
      .finally(() => renews.forEach((queryKey) => void queries.invalidateQueries({ queryKey })));
  const hand = async (file: File) => {
    const at = `${url}/upload`;
    const type = "application/octet-stream";
    try {
      const fault = (await sendFile<Row>(at, file, type)).lastError;
      toast(fault ? t("runFailed", { why: visible(fault) }) : t("uploaded", { name: visible(file.name) }), { curl: fileCurl(at, file, type) });
    } catch (error) {
      toastFault(parts("actFailed"), error);
    }
    renews.forEach((queryKey) => void queries.invalidateQueries({ queryKey }));
  };
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      {r.url ? button(t("runNow"), run) : null}
      <FileButton onChange={(file) => file && void hand(file)}>
        {(props) => (
          <Button size="compact-xs" variant="default" {...props}>
            {t("uploadFile")}
          </Button>
        )}
      </FileButton>
      {button(forms("change"), onEdit)}
      {button(r.enabled ? forms("switchOff") : forms("switchOn"), () =>
        void act({ call: { method: "PATCH", url, body: { enabled: !r.enabled } }, undo: { method: "PATCH", url, body: { enabled: r.enabled } }, done: r.enabled ? forms("switchedOff") : forms("switchedOn"), renews }),
      )}
      {button(forms("delete"), () =>
        void confirm({ title: forms("delete"), text: t("deleteFeedWhy", { name: r.name }), action: forms("delete") }).then(async (yes) => {
          if (!yes) return;
          onGone();
          await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews });
        }),
      )}
    </>
  );
}

function FeedContent({ of: r }: { of: Row }) {
  const t = useText("intelligence");
  const words = useText("words");
  const language = useLanguage();
  const n = (v: number) => v.toLocaleString(language);
  return (
    <>
      <section>
        <h2>
          <Raw text={r.name} />
        </h2>
        <Facts
          of={[
            [words("status"), <Pill dot={dots[r.status]}>{t(`state.${r.status}`)}</Pill>],
            [t("fault"), r.lastError ? visible(r.lastError) : null],
            [t("format"), t(`format.${r.format}`)],
            [t("address"), r.url ? visible(r.url) : null],
            [t("interval"), r.url ? duration(r.interval) : null],
            [t("ttl"), r.ttlDays > 0 ? t("days", { n: r.ttlDays }) : t("whileNamed")],
            [t("confidence"), r.confidence === null ? null : String(r.confidence)],
            [t("tags"), r.tags.length > 0 ? visible(r.tags.join(", ")) : null],
            [t("lastRun"), r.lastRunAt ? <Time at={r.lastRunAt} /> : null],
            [t("lastSuccess"), r.lastSuccessAt ? <Time at={r.lastSuccessAt} /> : null],
            [t("nextRun"), r.nextRunAt ? <Time at={r.nextRunAt} /> : null],
            [words("created"), <><Time at={r.createdAt} /> · {visible(r.createdBy)}</>],
          ]}
        />
        <p>
          <Link to={"/intelligence" as "/"} search={{ feedId: r.id } as never}>
            {t("itsIndicators", { n: r.activeIndicators })}
          </Link>
        </p>
      </section>
      {r.lastRunAt ? (
        <section>
          <h2>{t("lastRun")}</h2>
          <Facts
            of={[
              [t("run.read"), n(r.lastRun.read)],
              [t("run.created"), n(r.lastRun.created)],
              [t("run.changed"), n(r.lastRun.changed)],
              [t("run.unchanged"), n(r.lastRun.unchanged)],
              [t("run.expired"), n(r.lastRun.expired)],
              [t("run.invalid"), n(r.lastRun.invalid)],
              [t("run.notUnderstood"), n(r.lastRun.notUnderstood)],
              [t("run.firstProblem"), r.lastRun.firstProblem ? visible(r.lastRun.firstProblem) : null],
            ]}
          />
        </section>
      ) : null}
    </>
  );
}
