import { useMemo } from "react";

import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import type { Column } from "~/parts/DataTable";
import { Facts } from "~/parts/Facts";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { duration } from "~/time/time";

import css from "./sources.module.css";

const legs = ["acknowledged", "stored", "detected", "alerted", "delivered"] as const;
type Leg = (typeof legs)[number];
type Row = { id: string; state: "running" | "ok" | "lost" | "aborted"; reason: string; sentAt: string; legs: Record<Leg, number | null>; missing: string[]; eventId: string | null; alertId: string | null };
type Page = { content: Row[]; totalElements: number; totalPages: number; number: number; every: number; sees: boolean };
const dots = { running: "doing", ok: "good", lost: "bad", aborted: "off" } as const;

/** The harmless events of KYRA's own that must come out as alerts, again and again. */
export function Canary() {
  const t = useText("sources");
  const words = useText("words");
  const language = useLanguage();
  const list = usePages<Row>({ key: ["canary"], load: (page, signal) => send<Page>({ method: "GET", url: `/api/v1/canary?size=100&page=${page}` }, signal) });
  const whole = list.query.data?.pages[0] as Page | undefined;
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "sent", header: t("sentAt"), width: "minmax(128px, 1fr)", cell: (r) => <Time at={r.sentAt} /> },
      { id: "state", header: words("status"), width: "128px", cell: (r) => <Pill dot={dots[r.state]}>{t(`canary.${r.state}`)}</Pill> },
      ...legs.map<Column<Row>>((l, i) => ({ id: l, header: t(`leg.${l}`), width: "112px", align: "right", from: 480 + i * 112, cell: (r) => (r.legs[l] === null ? <span className={r.missing.includes(l) ? css.bad : "dim"}>–</span> : `${Math.round(r.legs[l]).toLocaleString(language)} ms`) })),
    ],
    [t, words, language],
  );
  return (
    <>
      {whole ? (
        <Top status why={whole.every === 0 ? t("canaryOff") : t("canaryEvery", { every: duration(whole.every) })}>
          {whole.totalElements > 0 ? <Pill dot={whole.sees ? "good" : "bad"}>{whole.sees ? t("sees") : t("blind")}</Pill> : null}
        </Top>
      ) : null}
      <Listing
        label={t("tab.canary")}
        list={list}
        columns={columns}
        empty={{ title: t("noCanary"), why: t("canaryWhy") }}
        panel={(_, r) =>
          r ? (
            <section>
              <h2>{t(`canary.${r.state}`)}</h2>
              <br />
              <Facts of={[[t("sentAt"), <Time at={r.sentAt} />], [t("reason"), visible(r.reason)], [t("missingLegs"), visible(r.missing.join(", "))], ...legs.map((l) => [t(`leg.${l}`), r.legs[l] === null ? null : `${Math.round(r.legs[l]).toLocaleString(language)} ms`] as const), [t("eventId"), r.eventId], [t("alertId"), r.alertId ? <a href={`/alerts/${encodeURIComponent(r.alertId)}`}>{visible(r.alertId)}</a> : null]]} />
            </section>
          ) : null
        }
      />
    </>
  );
}
