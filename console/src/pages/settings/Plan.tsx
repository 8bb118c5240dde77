import { Progress, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { Facts } from "~/parts/Facts";
import { Failed, Loading } from "~/parts/States";
import { Top } from "~/parts/Top";
import { useLanguage, useText } from "~/text/text";

import css from "./settings.module.css";

/** What the tenant may use, and what it uses of it. */
export default function Plan() {
  const t = useText("plan");
  const language = useLanguage();
  const act = useAct();
  const may = useMay("settings:write");
  const [name, setName] = useState<string>();
  const q = useQuery({ queryKey: ["tenant"], queryFn: ({ signal }) => answer(client.GET("/api/v1/tenant", { signal })), refetchInterval: 15_000 });
  if (q.isPending) return <Loading rows={5} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const { plan, limits, usage } = q.data;
  const now = name ?? q.data.name;
  const keep = () => {
    const to = now.trim();
    if (to === "" || to === q.data.name) return;
    const call = (of: string) => ({ method: "PATCH" as const, url: "/api/v1/tenant", body: { name: of } });
    void act({ call: call(to), undo: call(q.data.name), done: t("renamed", { name: to }), renews: [["tenant"], ["session"]] }).then(() => setName(undefined));
  };
  const number = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 1 });
  return (
    <>
      <Top why={`${t("plan")}: ${plan}. ${t(`planWhy.${plan}`)}. ${t("changes")}`} />
      <div className={css.scroll}>
        <section className={css.part}>
          <TextInput label={t("tenantName")} maxLength={100} disabled={!may} value={now} onChange={(e) => setName(e.currentTarget.value)} onBlur={keep} onKeyDown={(e) => e.key === "Enter" && keep()} maw={360} />
        </section>
        <section className={css.part}>
          <h2>{t("usage")}</h2>
          <Against label={t("requests")} n={usage.requestsThisMinute} limit={limits.requestsPerMinute} over={t("overLimit")} />
          <Against label={t("rate")} n={usage.eventsPerSecond} limit={limits.eventsPerSecond} over={t("overRate")} />
        </section>
        <section className={css.part}>
          <h2>{t("counts")}</h2>
          <Facts
            of={[
              [t("eventsToday"), number(usage.eventsToday)],
              [t("logSources"), number(usage.logSources)],
              [t("collectors"), number(usage.collectors)],
              [t("people"), number(usage.people) + (usage.peopleWithoutSecondFactor > 0 ? ` · ${t("withoutFactor", { n: usage.peopleWithoutSecondFactor })}` : "")],
              [t("apiKeys"), number(usage.apiKeys)],
            ]}
          />
        </section>
      </div>
    </>
  );
}

function Against({ label, n, limit, over }: { label: string; n: number; limit: number; over: string }) {
  const t = useText("plan");
  const language = useLanguage();
  const share = limit === 0 ? 0 : (100 * n) / limit;
  const text = (v: number) => v.toLocaleString(language, { maximumFractionDigits: 1 });
  return (
    <div>
      <div className={css.against}>
        <span>{label}</span>
        <span>{limit === 0 ? t("noLimit", { n: text(n) }) : t("ofLimit", { n: text(n), limit: text(limit) })}</span>
      </div>
      {limit === 0 ? null : <Progress value={Math.min(share, 100)} color={share >= 100 ? "red" : share >= 80 ? "yellow" : "blue"} aria-label={label} transitionDuration={0} />}
      {share >= 80 ? <p className="dim">{share >= 100 ? over : t("nearLimit")}</p> : null}
    </div>
  );
}
