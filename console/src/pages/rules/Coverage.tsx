import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { PageHead } from "~/frame/PageHead";
import { Facts } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { SidePanel } from "~/parts/SidePanel";
import { Empty, Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { healthDots } from "./data";
import css from "./rules.module.css";
import { Tabs } from "./Tabs";

type Technique = Schema<"TechniqueCoverage">;

/** The ATT&CK matrix of what is watched now: a rule that nothing feeds covers nothing. */
export default function Coverage() {
  const t = useText("rules");
  const url = useUrl();
  const q = useQuery({ queryKey: ["rules", "coverage"], staleTime: 60_000, queryFn: ({ signal }) => send<Schema<"Coverage">>({ method: "GET", url: "/api/v1/siem/rules/coverage" }, signal) });
  const open = url.get("open");
  const tactics = q.data?.tactics ?? [];
  const technique = tactics.flatMap((x) => x.techniques ?? []).find((x) => x.id === open);
  return (
    <>
      <PageHead title={t("coverage")}>
        <Tabs now="coverage" />
      </PageHead>
      {q.isPending ? <Loading rows={10} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {q.data ? (
        <>
          <div className={css.top}>
            <p className={css.numbers}>
              <span>
                <b>{t("number", { n: q.data.techniques })}</b> {t("techniques")}
              </span>
              <span>
                <b>{t("number", { n: q.data.rules })}</b> {t("seeing")}
              </span>
              <span>
                <b>{t("number", { n: q.data.blindRules })}</b> <Link to={"/rules" as "/"} search={{ health: "blind" } as never}>{t("blindRules")}</Link>
              </span>
              <span className="dim">{t("attack", { version: q.data.attackVersion, n: q.data.unmappedRules })}</span>
            </p>
            <span className={css.space} />
            <p className={css.legend}>
              <span>
                <i data-strength="1" />
                <i data-strength="2" />
                <i data-strength="3" />
                {t("legendSees")}
              </span>
              <span>
                <i />
                {t("legendBlind")}
              </span>
            </p>
          </div>
          {tactics.length === 0 ? <Empty title={t("none")}>{t("noneWhy")}</Empty> : null}
          <div style={{ display: "flex", flex: 1, minHeight: 0 }}>
            <div className={css.matrix} tabIndex={0} role="region" aria-label={t("coverage")}>
              {tactics.map((x) => (
                <section key={x.id} className={css.tactic}>
                  <header>
                    <h2>{x.title}</h2>
                    <p className="dim">{t("ofTactic", { rules: x.rules, blind: x.blindRules })}</p>
                  </header>
                  {(x.techniques ?? []).map((y) => (
                    <Cell key={y.id} of={y} onOpen={() => url.set({ open: y.id })} />
                  ))}
                </section>
              ))}
            </div>
            {technique ? (
              <SidePanel label={technique.id} onClose={() => url.set({ open: undefined })}>
                <div style={{ display: "flex", flexDirection: "column", gap: 16, padding: 16 }}>
                  <h2>
                    {technique.id} {visible(technique.name)}
                  </h2>
                  <Facts of={[[t("seeing"), technique.rules], [t("blindRules"), technique.blindRules], [t("alerts30"), t("number", { n: technique.alerts })]]} />
                  <ul style={{ margin: 0, paddingLeft: 16 }}>
                    {(technique.ruleList ?? []).map((r) => (
                      <li key={r.id}>
                        <Link to={`/rules/${r.id}` as "/"}>
                          <Raw text={r.name} />
                        </Link>{" "}
                        {r.blind ? (
                          <>
                            <Pill dot={healthDots.blind}>{t("health.blind")}</Pill> <Raw text={r.blind} className="dim" />
                          </>
                        ) : null}
                      </li>
                    ))}
                  </ul>
                </div>
              </SidePanel>
            ) : null}
          </div>
        </>
      ) : null}
    </>
  );
}

function Cell({ of: x, onOpen }: { of: Technique; onOpen: () => void }) {
  const t = useText("rules");
  return (
    <button type="button" className={css.technique} data-strength={x.rules === 0 ? undefined : x.rules < 3 ? 1 : x.rules < 6 ? 2 : 3} data-sub={x.id.includes(".") || undefined} onClick={onOpen}>
      <span className="mono">{x.id}</span>
      <b>{visible(x.name)}</b>
      <span>
        {x.rules === 0 ? t("onlyBlind", { n: x.blindRules }) : t("cell", { n: x.rules, alerts: x.alerts })}
      </span>
    </button>
  );
}
