import { Button, NumberInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { Facts } from "~/parts/Facts";
import { Failed, Loading } from "~/parts/States";
import { Top } from "~/parts/Top";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./settings.module.css";

/** PCI DSS 4.0.1, 10.5.1. */
const pciDays = 365;

/** How long things are kept, and what another term would remove before it is set. */
export default function Retention() {
  const t = useText("plan");
  const may = useMay("settings:write");
  const act = useAct();
  const [asked, setAsked] = useState<number>();
  const [days] = useDebouncedValue(asked, 300);
  const q = useQuery({
    queryKey: ["retention", days],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => answer(client.GET("/api/v1/tenant/retention", { params: { query: days === undefined ? {} : { days } }, signal })),
  });
  if (q.isPending) return <Loading rows={5} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const r = q.data;
  const trying = asked !== undefined && asked !== r.eventDays;
  const fresh = !q.isPlaceholderData && r.days === (asked ?? r.eventDays);
  const save = async () => {
    if (asked === undefined) return;
    if (r.removes > 0 && !(await confirm({ title: t("setTitle", { n: asked }), text: t("setText", { n: r.removes }), action: t("setTerm", { n: asked }) }))) return;
    const call = (n: number) => ({ method: "PATCH" as const, url: "/api/v1/tenant", body: { retentionDays: n } });
    await act({ call: call(asked), undo: call(r.eventDays), done: t("termSet", { n: asked }), renews: [["retention"], ["tenant"]] });
    setAsked(undefined);
  };
  return (
    <>
      <Top why={t("fromArrival")} />
      <div className={css.scroll}>
        <section className={css.part}>
          <h2>{t("events")}</h2>
          <Facts
            of={[
              [t("eventsKept"), t("days", { n: r.eventDays })],
              [t("keptNow"), t("eventsN", { n: r.events })],
              [t("oldest"), r.oldest ? <Time at={r.oldest} /> : null],
              [t("applied"), r.appliedAt ? <Time at={r.appliedAt} /> : null],
              [t("early"), r.earlyAt ? <Time at={r.earlyAt} /> : null],
              [t("alertsIncidents"), t("forever")],
              [t("auditLog"), t("forever")],
              [t("evidence"), t("forever")],
            ]}
          />
          {r.held ? <p role="note">{t("held")}</p> : null}
          <p className="dim">{t(r.eventDays >= pciDays ? "pci" : "pciShort", { days: r.eventDays })}</p>
        </section>
        <section className={css.part}>
          <h2>{t("newTerm")}</h2>
          <NumberInput label={t("newTermWhy")} disabled={!may} min={1} max={36500} allowDecimal={false} clampBehavior="strict" value={asked ?? r.eventDays} onChange={(v) => setAsked(typeof v === "number" && v >= 1 ? v : undefined)} maw={240} />
          <p className="dim">{t("tries")}</p>
          {trying ? (
            <>
              <p role="status">{!fresh ? "…" : r.removes > 0 ? t("removes", { n: r.removes }) : t("removesNone")}</p>
              {asked > r.eventDays ? <p className="dim">{t("keepLonger")}</p> : null}
              {asked < pciDays ? <p className="dim">{t("pciShort", { days: asked })}</p> : null}
              <div className={css.buttons}>
                <Button size="xs" color={r.removes > 0 ? "red" : undefined} disabled={!fresh || !may} onClick={() => void save()}>
                  {t("setTerm", { n: asked })}
                </Button>
              </div>
            </>
          ) : null}
        </section>
      </div>
    </>
  );
}
