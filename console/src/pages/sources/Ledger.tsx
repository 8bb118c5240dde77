import { useMemo } from "react";

import type { Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import type { Column } from "~/parts/DataTable";
import { Facts, Rows } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { rangeOf } from "~/parts/range";
import { TimeRange } from "~/parts/TimeRange";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useNow } from "~/time/time";
import { useUrl } from "~/url/url";

import css from "./sources.module.css";

type Counts = Pick<Schema<"LedgerCounts">, "balanced" | "dropped" | "droppedBy" | "quarantined" | "received" | "stored">;
type Row = Counts & { id: string; hour: string; source: string };
type Refusal = { door: string; reason: string; count: number };
type Page = { content: Omit<Row, "id">[]; totalElements: number; totalPages: number; number: number; totals: Counts; unbalanced: number; refused: Refusal[]; lost: Refusal[] };

/** What became of every record. A line that does not add up is red: a record went missing. */
export function Ledger() {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const url = useUrl();
  const now = useNow(60_000);
  const range = rangeOf(url, "24h", Math.floor(now / 60_000) * 60_000);
  const source = url.get("source") ?? "";
  const show = url.get("show") === "unbalanced" ? "unbalanced" : "all";
  const ask = new URLSearchParams({ from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString(), show, size: "100", ...(source ? { source } : {}) }).toString();
  const list = usePages<Row>({
    key: ["ledger", ask],
    load: async (page, signal) => {
      const got = await send<Page>({ method: "GET", url: `/api/v1/ledger?${ask}&page=${page}` }, signal);
      return { ...got, content: got.content.map((r) => ({ ...r, id: `${r.hour} ${r.source}` })) };
    },
  });
  const whole = list.query.data?.pages.at(-1) as Page | undefined;
  const columns = useMemo<Column<Row>[]>(() => {
    const count = (id: "received" | "stored" | "quarantined" | "dropped", from: number): Column<Row> => ({ id, header: t(id), width: "112px", align: "right", from, cell: (r) => <span className={r.balanced ? undefined : css.bad}>{r[id].toLocaleString(language)}</span> });
    return [
      { id: "hour", header: t("hour"), width: "168px", cell: (r) => <Time at={r.hour} exactly /> },
      { id: "source", header: words("source"), width: "minmax(120px, 1fr)", cell: (r) => <Raw text={r.source} /> },
      count("received", 480),
      count("stored", 560),
      count("quarantined", 680),
      count("dropped", 780),
      { id: "balanced", header: t("balance"), width: "136px", cell: (r) => <Pill dot={r.balanced ? "good" : "bad"}>{r.balanced ? t("balanced") : t("missing", { n: r.received - r.stored - r.quarantined - r.dropped })}</Pill> },
    ];
  }, [t, words, language]);
  const refusals = (label: string, of: Refusal[]) =>
    of.length > 0 ? (
      <div className={css.open}>
        <Rows label={label} head={[label, t("reason"), t("recordsHead")]} rows={of.map((x) => ({ key: `${x.door} ${x.reason}`, cells: [visible(x.door), visible(x.reason), x.count.toLocaleString(language)] }))} />
      </div>
    ) : null;
  return (
    <>
      <FilterBar search="source" placeholder={words("source")} facets={[{ id: "show", label: t("balance"), options: [{ value: "unbalanced", label: t("unbalanced") }] }]}>
        <TimeRange standard="24h" />
      </FilterBar>
      {whole ? (
        <Top status why={whole.unbalanced > 0 ? <span className={css.bad}>{t("ledgerBad", { n: whole.unbalanced })}</span> : t("ledgerGood", { n: whole.totals.received })} />
      ) : null}
      {whole ? refusals(t("refused"), whole.refused) : null}
      {whole ? refusals(t("lost"), whole.lost) : null}
      <Listing
        label={t("tab.ledger")}
        list={list}
        columns={columns}
        filters={["source", "show"]}
        empty={{ title: t("noLedger"), why: t("ledgerWhy") }}
        panel={(_, r) =>
          r ? (
            <section>
              <h2>
                <Raw text={r.source} />
              </h2>
              <br />
              <Facts of={[[t("hour"), <Time at={r.hour} exactly />], ...(["received", "stored", "quarantined", "dropped"] as const).map((k) => [t(k), r[k].toLocaleString(language)] as const), ...Object.entries(r.droppedBy).map(([k, v]) => [`${t("dropped")}: ${visible(k)}`, v.toLocaleString(language)] as const)]} />
            </section>
          ) : null
        }
      />
    </>
  );
}
