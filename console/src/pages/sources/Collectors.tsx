import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog, Once } from "~/parts/Dialog";
import { Block, Facts, Rows } from "~/parts/Facts";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./sources.module.css";

type Row = Schema<"CollectorItem">;
type Detail = Row & Schema<"CollectorDetail">;

/** The agents on hosts: whether they are there, and what waits with them. */
export function Collectors() {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("collectors:write");
  const act = useAct();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Schema<"NewCollectorToken">>();
  const list = usePages<Row>({
    key: ["collectors"],
    load: async (_, signal) => {
      const content = await send<Row[]>({ method: "GET", url: "/api/v1/collectors" }, signal);
      return { content, totalElements: content.length, totalPages: 1, number: 0 };
    },
  });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "host", header: words("host"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.hostname} /> },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={r.status === "online" ? "good" : "bad"}>{t(`collector.${r.status}`)}</Pill> },
      { id: "version", header: t("version"), width: "minmax(80px, 160px)", from: 640, cell: (r) => <Raw text={r.version} className="mono" /> },
      { id: "os", header: t("system"), width: "96px", from: 760, cell: (r) => <Raw text={r.osFamily} className="dim" /> },
      { id: "beat", header: t("heartbeat"), width: "128px", cell: (r) => <Time at={r.lastHeartbeat} className="dim" /> },
      { id: "events", header: words("events"), width: "120px", align: "right", from: 560, cell: (r) => r.eventsIngested.toLocaleString(language) },
    ],
    [t, words, language],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setMaking(true)}>
      {t("enrol")}
    </Button>
  ) : null;
  const revoke = async (r: Row, close: () => void) => {
    if (!(await confirm({ title: t("revoke"), text: t("revokeWhy", { name: r.hostname }), action: t("revoke") }))) return;
    await act({ call: { method: "DELETE", url: `/api/v1/collectors/${r.id}` }, done: t("revoked"), renews: [["collectors"]] });
    close();
  };
  return (
    <>
      <Top why={t("collectorsWhy")}>{create}</Top>
      <Tokens may={may} />
      <Listing
        label={t("tab.collectors")}
        list={list}
        columns={columns}
        empty={{ title: t("noCollectors"), why: t("collectorsWhy"), action: create }}
        panelActions={(_, r, close) =>
          r && may ? (
            <Button size="compact-xs" variant="default" onClick={() => void revoke(r, close)}>
              {t("revoke")}
            </Button>
          ) : null
        }
        panel={(id) => <One id={id} />}
      />
      {making ? <Enrol onClose={() => setMaking(false)} onMade={setMade} /> : null}
      {made ? (
        <Once title={t("tokenMade")} why={t("tokenOnce")} value={made.token} onClose={() => setMade(undefined)}>
          <p style={{ margin: 0 }}>{t("runThis")}</p>
          <Block label={t("runThis")} text={`${made.command.replaceAll("kyra collector", "kyra-collector")} --service`} />
          <p style={{ margin: 0 }}>{t("runWhole")}</p>
          <Block label={t("runWhole")} text={`${made.command}\nkyra collector run`} />
          <p style={{ margin: 0 }}>{t("thenStatus")}</p>
          <Block label={t("thenStatus")} text="kyra-collector status" />
        </Once>
      ) : null}
    </>
  );
}

/** Tokens that nobody has used yet. */
function Tokens({ may }: { may: boolean }) {
  const t = useText("sources");
  const forms = useText("forms");
  const act = useAct();
  const q = useQuery({ queryKey: ["collector-tokens"], queryFn: ({ signal }) => answer(client.GET("/api/v1/collector-tokens", { params: { query: { size: 100 } }, signal })) });
  const open = (q.data?.content ?? []).filter((x) => x.status === "open");
  if (open.length === 0) return null;
  return (
    <div className={css.open}>
      <Rows
        label={t("openTokens")}
        head={[t("openTokens"), forms("expires"), ""]}
        rows={open.map((x) => ({
          key: x.id,
          cells: [
            visible(x.name),
            <Time at={x.expiresAt} />,
            may ? (
              <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void act({ call: { method: "DELETE", url: `/api/v1/collector-tokens/${x.id}` }, done: t("tokenRevoked"), renews: [["collector-tokens"]] })}>
                {t("revoke")}
              </Button>
            ) : null,
          ],
        }))}
      />
    </div>
  );
}

function Enrol({ onClose, onMade }: { onClose: () => void; onMade: (made: Schema<"NewCollectorToken">) => void }) {
  const t = useText("sources");
  const forms = useText("forms");
  const act = useAct();
  const [name, setName] = useState("");
  return (
    <Dialog
      title={t("enrol")}
      action={t("makeToken")}
      ready={name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const got = await act<Schema<"NewCollectorToken">>({ call: { method: "POST", url: "/api/v1/collector-tokens", body: { name: name.trim() } }, done: t("tokenMade"), renews: [["collector-tokens"]] });
        if (got) onMade(got);
        return got !== undefined;
      }}
    >
      <TextInput label={forms("name")} description={t("enrolWhy")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
    </Dialog>
  );
}

function One({ id }: { id: string }) {
  const t = useText("sources");
  const forms = useText("forms");
  const words = useText("words");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["collectors", id], queryFn: ({ signal }) => send<Detail>({ method: "GET", url: `/api/v1/collectors/${id}` }, signal), refetchInterval: 15_000 });
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  if (!q.data) return <Loading />;
  const c = q.data;
  const n = (v: number) => v.toLocaleString(language, { maximumFractionDigits: 1 });
  const mib = (v: number) => `${n(v / 1_048_576)} MiB`;
  return (
    <>
      <section>
        <h2>
          <Raw text={c.name} />
        </h2>
        <br />
        <Facts
          of={[
            [words("host"), visible(c.hostname)],
            [words("status"), <Pill dot={c.status === "online" ? "good" : "bad"}>{t(`collector.${c.status}`)}</Pill>],
            [t("version"), visible(c.version)],
            [t("heartbeat"), <Time at={c.lastHeartbeat} />],
            [t("awaySince"), c.awaySince ? <Time at={c.awaySince} /> : null],
            [t("address"), c.address ? visible(c.address) : null],
            [t("enrolled"), c.enrolledAt ? <Time at={c.enrolledAt} /> : null],
            [t("clock"), c.clockOffsetMs === null ? null : `${n(c.clockOffsetMs)} ms`],
            [t("spool"), c.figures ? `${mib(c.figures.spoolBytes)} / ${mib(c.figures.spoolLimitBytes)} · ${t("records", { n: c.figures.spoolRecords })}` : null],
            [t("oldest"), c.figures?.oldestSpooledAt ? <Time at={c.figures.oldestSpooledAt} /> : null],
            [t("load"), c.figures ? `${n(c.figures.cpuPercent)} % · ${mib(c.figures.memoryBytes)}` : null],
            [t("certificate"), c.certificate ? <Time at={c.certificate.expiresAt} /> : null],
            [t("config"), `${t(`config.${c.config.state}`)}`],
            [t("configFault"), c.config.error ? <Raw text={c.config.error} className={css.bad!} /> : null],
            ...Object.entries(c.labels).map(([k, v]) => [visible(k), visible(v)] as const),
          ]}
        />
      </section>
      {c.sources.length > 0 ? (
        <section>
          <h2>{t("itsSources")}</h2>
          <Rows
            label={t("itsSources")}
            head={[forms("name"), t("perSecond"), t("recordsHead"), t("dropped"), t("filtered"), t("errors"), t("lastError")]}
            rows={c.sources.map((s) => ({
              key: s.name,
              cells: [`${visible(s.name)} (${visible(s.type)})`, n(s.rate), n(s.records), s.dropped > 0 ? <span className={css.bad}>{n(s.dropped)}</span> : "0", n(s.filtered), s.errors > 0 ? <span className={css.bad}>{n(s.errors)}</span> : "0", s.lastError ? <Raw text={s.lastError} /> : ""],
            }))}
          />
        </section>
      ) : null}
    </>
  );
}
