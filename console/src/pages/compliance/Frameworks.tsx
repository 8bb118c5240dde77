import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { answer, client } from "~/api/client";
import { PageHead } from "~/frame/PageHead";
import { Pill } from "~/parts/Pill";
import { Empty, Failed, Loading } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Bar } from "./Bar";
import { useCollect } from "./Collect";
import css from "./compliance.module.css";
import { amount, resultDots, useFrameworks, useProfile, useTitles, type Framework, type Profile } from "./data";
import { Tabs } from "./Tabs";

/** How every framework stands, and which fix helps most. */
export default function Frameworks() {
  const t = useText("compliance");
  const [profile, setProfile] = useProfile();
  const q = useFrameworks(profile);
  const { button, progress } = useCollect();
  return (
    <>
      <PageHead title={t("title")}>
        <Tabs now="frameworks" />
      </PageHead>
      <div className={css.top}>
        <SegmentedControl
          size="xs"
          aria-label={t("profile")}
          transitionDuration={0}
          value={profile ?? "set"}
          onChange={(v) => setProfile(v === "set" ? undefined : (v as Profile))}
          data={(["set", "core", "full"] as const).map((value) => ({ value, label: t(`profile.${value}`) }))}
        />
        <span className={css.space} />
        {button}
      </div>
      {progress}
      <div className={css.page}>
        {q.isPending ? <Loading rows={6} /> : null}
        {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
        {q.data ? (
          <div className={css.cards}>
            {q.data.map((f) => (
              <Card key={f.id} of={f} />
            ))}
          </div>
        ) : null}
        <Gains profile={profile} />
        <p className="dim">{t("limits")}</p>
      </div>
    </>
  );
}

function Card({ of: f }: { of: Framework }) {
  const t = useText("compliance");
  const language = useLanguage();
  return (
    <Link to={`/compliance/framework/${f.id}` as "/"} className={css.card}>
      <span className={css.cardHead}>
        <b>{f.name}</b>
        <span className="dim">{t(`profile.${f.profile}`)}</span>
      </span>
      <span className={css.score}>
        {f.lastEvaluatedAt === null && f.compliant + f.partial + f.nonCompliant === 0 ? <span className={css.none}>{t("notYet")}</span> : <>{amount(Math.round(f.score), language)}<small>%</small></>}
      </span>
      <Bar counts={f} />
      <span className={css.cardFacts}>
        <span>{t("ofControls", { n: f.compliant, all: f.totalControls })}</span>
        <span>{t("coverage", { percent: amount(Math.round(f.evidenceCoverage), language) })}</span>
      </span>
      <span className={css.cardFacts}>
        {f.readyToAttest > 0 ? <Pill dot="doing">{t("ready", { n: f.readyToAttest })}</Pill> : <span className="dim">{f.authority}</span>}
        {f.lastEvaluatedAt ? <Time at={f.lastEvaluatedAt} className="dim" /> : null}
      </span>
    </Link>
  );
}

function Gains({ profile }: { profile: Profile | undefined }) {
  const t = useText("compliance");
  const lang = useTitles();
  const q = useQuery({ queryKey: ["compliance", "gains", profile, lang], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/gains", { params: { query: { size: 12, lang, ...(profile ? { profile } : {}) } }, signal })), staleTime: 30_000 });
  if (!q.data) return null;
  return (
    <section className={css.gains}>
      <h2>{t("gains")}</h2>
      <p className="dim">{t("gainsWhy")}</p>
      {q.data.content.length === 0 ? <Empty title={t("noGains")}>{t("noGainsWhy")}</Empty> : null}
      <ol>
        {q.data.content.map((g) => (
          <li key={g.check}>
            <Pill dot={resultDots[g.result]}>{t(`result.${g.result}`)}</Pill>
            <span className={css.gain}>
              <b>{g.title}</b>
              {g.reason ? <span className="dim">{g.reason}</span> : null}
            </span>
            <span className={css.gainBy}>
              {g.frameworks.slice(0, 4).map((f) => (
                <Link key={f.framework} to={`/compliance/framework/${f.framework}` as "/"} search={{ check: g.check } as never} className={css.chip} title={[...f.better, ...f.ready].join(", ")}>
                  +{f.better.length + f.ready.length} {f.name}
                </Link>
              ))}
              {g.frameworks.length > 4 ? <span className="dim">{t("andMore", { n: g.frameworks.length - 4 })}</span> : null}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
