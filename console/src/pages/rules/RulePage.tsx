import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity } from "~/parts/Severity";
import { Failed, Loading, Partial } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Backtest } from "./Backtest";
import { example, healthDots, type Detail } from "./data";
import { Editor } from "./Editor";
import { Exceptions } from "./Exceptions";
import css from "./rules.module.css";
import { Tabs } from "./Tabs";
import { Test } from "./Test";
import { Versions } from "./Versions";

/** One rule: what it says, what it finds, what it leaves out and how it came to be. */
export default function RulePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const t = useText("rules");
  const q = useQuery({ queryKey: ["rules", id], enabled: id !== "new", queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}", { params: { path: { id } }, signal })) });
  return (
    <>
      <PageHead title={q.data ? visible(q.data.name) : id === "new" ? t("new") : t("title")}>
        <Tabs now="one" />
      </PageHead>
      {id === "new" ? <Content key="new" /> : null}
      {id !== "new" && q.isPending ? <Loading rows={10} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {q.data && id !== "new" ? <Content key={id} of={q.data} /> : null}
    </>
  );
}

const tabs = ["text", "test", "backtest", "exceptions", "versions"] as const;

function Content({ of: rule }: { of?: Detail }) {
  const t = useText("rules");
  const words = useText("words");
  const url = useUrl();
  const [yaml, setYaml] = useState(rule?.yaml ?? example);
  const shown = tabs.filter((n) => rule !== undefined || !["exceptions", "versions"].includes(n));
  const now = shown.find((n) => n === url.get("tab")) ?? "text";
  return (
    <>
      {rule ? (
        <div className={css.top}>
          <Severity of={rule.severity} />
          <Pill dot={rule.status === "ACTIVE" ? "good" : "off"}>{t(`status.${rule.status}`)}</Pill>
          {rule.staged ? <Pill dot="doing">{t("staged")}</Pill> : null}
          <Pill dot={healthDots[rule.health]}>{t(`health.${rule.health}`)}</Pill>
          {rule.builtin ? <Pill>{t("builtin")}</Pill> : null}
          <span className="dim">{rule.mitreTechniques.join(" ")}</span>
          <span className={css.space} />
          <Actions of={rule} />
        </div>
      ) : null}
      <div className={css.top}>
        <div className={css.tabs} role="tablist" aria-label={words("rule")}>
          {shown.map((n) => (
            <button key={n} type="button" role="tab" aria-selected={n === now} onClick={() => url.set({ tab: n === "text" ? undefined : n }, { replace: true })}>
              {t(`tab.${n}`)}
              {n === "exceptions" && rule && rule.exceptions > 0 ? ` ${rule.exceptions}` : ""}
            </button>
          ))}
        </div>
      </div>
      <div className={css.page}>
        {rule && rule.health !== "ok" && rule.healthReason ? <Partial>{visible(rule.healthReason)}</Partial> : null}
        {rule && now === "text" ? (
          <>
            {rule.description ? (
              <p className={css.lead}>
                <Raw text={rule.description} />
              </p>
            ) : null}
            <p className={css.numbers}>
              <span>
                <b>{t("number", { n: rule.matches24h })}</b> {t("in24h", { n: rule.matches24h })}
              </span>
              <span>
                <b>{t("number", { n: rule.matches30d })}</b> {t("in30d", { n: rule.matches30d })}
              </span>
              <span>
                <b>{t("number", { n: rule.alerts })}</b> {t("alerts", { n: rule.alerts, false: rule.falsePositives, true: rule.truePositives })}
              </span>
              <span className="dim">
                {t("lastMatch")}: {rule.lastMatchAt ? <Time at={rule.lastMatchAt} /> : "–"}
              </span>
            </p>
          </>
        ) : null}
        {now === "text" ? <Editor {...(rule ? { of: rule } : {})} yaml={yaml} onYaml={setYaml} /> : null}
        {now === "test" ? <Test yaml={yaml} changed={yaml !== rule?.yaml} id={rule?.id} /> : null}
        {now === "backtest" ? <Backtest yaml={yaml} changed={yaml !== rule?.yaml} id={rule?.id} /> : null}
        {now === "exceptions" && rule ? <Exceptions rule={rule.id} /> : null}
        {now === "versions" && rule ? <Versions of={rule} onRestored={setYaml} /> : null}
      </div>
    </>
  );
}

function Actions({ of: rule }: { of: Detail }) {
  const t = useText("rules");
  const forms = useText("forms");
  const may = useMay("rules:write");
  const act = useAct();
  const url = `/api/v1/siem/rules/${rule.id}`;
  if (!may) return null;
  const on = rule.status === "ACTIVE";
  const change = (body: object, back: object, done: string) => void act({ call: { method: "PATCH", url, body }, undo: { method: "PATCH", url, body: back }, done, renews: [["rules"]] });
  return (
    <>
      <Button size="compact-xs" variant="default" title={t("stagedWhy")} onClick={() => change({ staged: !rule.staged }, { staged: rule.staged }, rule.staged ? t("unstaged") : t("stagedDone"))}>
        {rule.staged ? t("unstage") : t("stage")}
      </Button>
      <Button size="compact-xs" variant="default" onClick={() => change({ status: on ? "INACTIVE" : "ACTIVE" }, { status: rule.status }, on ? forms("switchedOff") : forms("switchedOn"))}>
        {on ? forms("switchOff") : forms("switchOn")}
      </Button>
    </>
  );
}
