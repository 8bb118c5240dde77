import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { Block, Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { rangeOf } from "~/parts/range";
import { Raw } from "~/parts/Raw";
import { TimeRange } from "~/parts/TimeRange";
import { toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { exact } from "~/time/time";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import css from "./audit.module.css";

type Row = Schema<"AuditItem">;
const names = ["actor", "action", "object", "address"] as const;

/** Who did what, when and from where; the chain shows that nothing was changed since. */
export default function Audit() {
  const t = useText("audit");
  const words = useText("words");
  const url = useUrl();
  // What "now" is, is kept: paging must not shift.
  const [now] = useState(Date.now);
  const range = rangeOf(url, "30d", now);
  const query = { ...Object.fromEntries(names.filter((n) => url.get(n)).map((n) => [n, url.get(n)])), from: new Date(range.from).toISOString(), to: new Date(Math.max(range.to, Date.now() - (now - range.to))).toISOString() };
  const key = { ...query, from: range.from, to: range.to };
  const list = usePages<Row>({ key: ["audit", key], load: (page, signal) => answer(client.GET("/api/v1/audit-logs", { params: { query: { ...query, size: 100, page } }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "at", header: words("time"), width: "168px", cell: (r) => <Time at={r.at} exactly className="dim" /> },
      { id: "actor", header: t("actor"), width: "minmax(140px, 220px)", cell: (r) => <Raw text={r.actor} className={css.cut!} /> },
      { id: "action", header: t("action"), width: "minmax(140px, 220px)", cell: (r) => <span className="mono">{visible(r.action)}</span> },
      { id: "object", header: t("object"), width: "minmax(120px, 1fr)", from: 640, cell: (r) => <Raw text={r.object} className={`mono ${css.cut}`} /> },
      { id: "address", header: t("address"), width: "136px", from: 820, cell: (r) => <span className="mono">{visible(r.address)}</span> },
      { id: "seq", header: t("number"), width: "80px", align: "right", from: 900, cell: (r) => <span className="dim">{r.seq}</span> },
    ],
    [t, words],
  );
  return (
    <>
      <PageHead title={t("title")}>
        <TimeRange standard="30d" />
      </PageHead>
      <FilterBar search={false} facets={names.map((id) => ({ id, label: t(id) }))} lead={names.slice(0, 3).map((n) => <Exact key={n} name={n} label={t(n)} />)}>
        <span className="dim" role="status">
          {list.query.data ? t("count", { n: list.total }) : ""}
        </span>
        <Verify />
      </FilterBar>
      <Listing
        label={t("title")}
        list={list}
        columns={columns}
        filters={names}
        rowHeight={36}
        empty={{ title: t("none"), why: t("noneWhy") }}
        cardHeight={56}
        card={(r) => (
          <span>
            <span className="mono">{visible(r.action)}</span> · {visible(r.actor)} · <Time at={r.at} className="dim" />
          </span>
        )}
        panel={(_, r) =>
          r ? (
            <>
              <h2 className="mono">{visible(r.action)}</h2>
              <Facts
                of={[
                  [words("time"), exact(r.at)],
                  [t("actor"), <Narrow name="actor" value={r.actor} />],
                  [t("object"), <Narrow name="object" value={r.object} />],
                  [t("address"), r.address ? <Narrow name="address" value={r.address} /> : null],
                  [t("key"), r.keyId],
                  [t("request"), r.requestId],
                  [t("number"), String(r.seq)],
                  [t("hash"), <span className="mono">{r.hash}</span>],
                ]}
              />
              <section>
                <h2>{t("detail")}</h2>
                <br />
                <Block label={t("detail")} text={visible(JSON.stringify(r.detail, null, 2))} />
              </section>
            </>
          ) : null
        }
      />
    </>
  );
}

/** A value of an entry: click it to see all with it. */
function Narrow({ name, value }: { name: string; value: string }) {
  const t = useText("audit");
  const url = useUrl();
  return (
    <button type="button" className={css.value} title={t("onlyThis")} onClick={() => url.set({ [name]: value })}>
      {visible(value)}
    </button>
  );
}

function Exact({ name, label }: { name: string; label: string }) {
  const url = useUrl();
  const [text, setText] = useState("");
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (text.trim() !== "") url.set({ [name]: text.trim() });
        setText("");
      }}
    >
      <TextInput size="xs" style={{ width: 128 }} aria-label={label} placeholder={label} value={text} onChange={(e) => setText(e.currentTarget.value)} />
    </form>
  );
}

function Verify() {
  const t = useText("audit");
  const parts = useText("parts");
  const language = useLanguage();
  const run = useMutation({ mutationFn: () => answer(client.GET("/api/v1/audit-logs/verify")), onError: (error) => toastFault(parts("actFailed"), error) });
  const v = run.data;
  return (
    <>
      {v ? (
        <span role="status" className={v.intact ? css.good : css.bad} title={v.headHash}>
          {v.intact ? t("intact", { n: v.entries, seals: v.seals }) : t("broken", { n: (v.brokenAt ?? 0).toLocaleString(language), why: v.why })}
        </span>
      ) : null}
      <Button size="xs" variant="default" loading={run.isPending} onClick={() => run.mutate()}>
        {t("verify")}
      </Button>
    </>
  );
}
