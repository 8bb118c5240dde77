import { Button } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Block, Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Job } from "~/parts/Job";
import { Listing } from "~/parts/Listing";
import { Raw } from "~/parts/Raw";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";


type Row = Schema<"QuarantineItem"> & { id: string };
const reasons = ["cef_header", "json_cut", "json_deep", "json_invalid", "json_trailing", "leef_header", "not_as_hinted", "parser_failed", "xml_cut", "xml_invalid"] as const;
const renew = () => void queries.invalidateQueries({ queryKey: ["quarantine"] });

/** Records that break the format that they claim: kept whole, to be read again with better parsers. */
export function Quarantine() {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("sources:write");
  const act = useAct();
  const url = useUrl();
  const [job, setJob] = useState<string>();
  const source = url.get("source");
  const reason = url.all("reason").at(-1);
  const list = usePages<Row>({
    key: ["quarantine", source, reason],
    load: async (page, signal) => {
      const got = await answer(client.GET("/api/v1/quarantine", { params: { query: { ...(source ? { source } : {}), ...(reason ? { reason } : {}), size: 100, page } as never }, signal }));
      return { ...got, content: got.content.map((r) => ({ ...r, id: `${r.source} ${r.reason}` })) };
    },
  });
  const columns = useMemo<Column<Row>[]>(() => {
    const named = (r: string) => (reasons.some((x) => x === r) ? t(`reason.${r as (typeof reasons)[number]}`) : visible(r));
    return [
      { id: "source", header: words("source"), width: "minmax(120px, 200px)", cell: (r) => <Raw text={r.source} /> },
      { id: "reason", header: t("reason"), width: "minmax(160px, 1fr)", cell: (r) => named(r.reason) },
      { id: "count", header: t("recordsHead"), width: "112px", align: "right", cell: (r) => r.count.toLocaleString(language) },
      { id: "last", header: t("lastSeen"), width: "128px", from: 560, cell: (r) => <Time at={r.lastSeen} className="dim" /> },
    ];
  }, [t, words, language]);
  const again = async (body: Schema<"RerunInBody">) => {
    if (!body.dryRun && !(await confirm({ title: t("rerun"), text: t("rerunWhy"), action: t("rerun") }))) return;
    const got = await act<Schema<"JobDetail">>({ call: { method: "POST", url: "/api/v1/quarantine/rerun", body }, done: t("rerunBegun"), renews: [] });
    if (got) setJob(got.id);
  };
  return (
    <>
      <FilterBar search="source" placeholder={words("source")} facets={[{ id: "reason", label: t("reason"), options: reasons.map((r) => ({ value: r, label: t(`reason.${r}`) })) }]} />
      <Top why={t("quarantineWhy")} />
      {job ? <Job id={job} label={t("rerun")} onEnd={renew} /> : null}
      <Listing
        label={t("tab.quarantine")}
        list={list}
        columns={columns}
        filters={["source", "reason"]}
        empty={{ title: t("noQuarantine"), why: t("quarantineWhy") }}
        panelActions={(_, r) =>
          r && may ? (
            <>
              <Button size="compact-xs" variant="default" onClick={() => void again({ source: r.source, reason: r.reason, dryRun: true })}>
                {t("dryRun")}
              </Button>
              <Button size="compact-xs" variant="default" onClick={() => void again({ source: r.source, reason: r.reason })}>
                {t("rerun")}
              </Button>
            </>
          ) : null
        }
        panel={(_, r) =>
          r ? (
            <>
              <section>
                <h2>
                  <Raw text={r.source} />
                </h2>
                <br />
                <Facts of={[[t("reason"), `${visible(r.reason)}: ${visible(r.meaning)}`], [t("recordsHead"), r.count.toLocaleString(language)], [t("firstSeen"), <Time at={r.firstSeen} />], [t("lastSeen"), <Time at={r.lastSeen} />]]} />
              </section>
              <section>
                <h2>{t("samples")}</h2>
                {r.samples.map((s) => (
                  <div key={s.id}>
                    <p className="dim">
                      <Time at={s.timestamp} /> {s.at ? t("breaksAt", { at: visible(s.at) }) : null}
                    </p>
                    <Block label={t("samples")} text={visible(s.raw)} />
                  </div>
                ))}
              </section>
            </>
          ) : null
        }
      />
    </>
  );
}
