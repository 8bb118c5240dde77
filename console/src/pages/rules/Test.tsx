import { Button, Textarea } from "@mantine/core";
import { useState } from "react";

import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { Rows } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed } from "~/parts/States";
import { useText } from "~/text/text";

import css from "./rules.module.css";

type Tested = Schema<"TestRuleOutBody">;
type Explained = Schema<"ExplainOutBody">;

/** Tries the rule on log lines, and tells why it fires or does not. */
export function Test({ yaml, changed, id }: { yaml: string; changed: boolean; id: string | undefined }) {
  const t = useText("rules");
  const [lines, setLines] = useState("");
  const [tested, setTested] = useState<Tested>();
  const [why, setWhy] = useState<Explained>();
  const [fault, setFault] = useState<unknown>();
  const subject = changed || id === undefined ? { rule: yaml } : { ruleId: id };
  const events = lines.split("\n").filter((l) => l.trim() !== "");
  const explain = (event: string | undefined) => {
    setWhy(undefined);
    if (event === undefined) return;
    send<Explained>({ method: "POST", url: "/api/v1/siem/rules/explain", body: { ...subject, event } }).then(setWhy, setFault);
  };
  const run = () => {
    setFault(undefined);
    setWhy(undefined);
    send<Tested>({ method: "POST", url: "/api/v1/siem/rules/test", body: { ...subject, events } }).then(setTested, setFault);
  };
  return (
    <section className={css.editor}>
      <Textarea label={t("lines")} description={t("linesWhy")} autosize minRows={4} maxRows={12} spellCheck={false} value={lines} onChange={(e) => setLines(e.currentTarget.value)} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} />
      <div>
        <Button size="xs" disabled={events.length === 0} onClick={run}>
          {t("try")}
        </Button>
      </div>
      {fault ? <Failed error={fault} /> : null}
      {tested && !tested.valid ? tested.problems.map((p) => <Raw key={`${p.line}:${p.message}`} text={`${p.line}:${p.column} ${p.message}`} />) : null}
      {tested?.valid ? (
        <div role="status">
          <p>{t("findings", { n: tested.findings.length })}</p>
          <Rows
            label={t("tab.test")}
            head={["#", t("result"), t("line"), ""]}
            rows={tested.events.map((e, i) => ({
              key: String(i),
              cells: [
                i + 1,
                e.matches.length > 0 ? <Pill dot={e.excepted.length > 0 ? "off" : "good"}>{e.excepted.length > 0 ? t("excepted") : t("matches")}</Pill> : <Pill dot="todo">{t("matchesNot")}</Pill>,
                <Raw key="raw" text={events[i] ?? ""} className="mono" />,
                <Button key="why" size="compact-xs" variant="default" onClick={() => explain(events[i])}>
                  {t("why")}
                </Button>,
              ],
            }))}
          />
        </div>
      ) : null}
      {why ? (
        <section aria-live="polite">
          <h2>{t("why")}</h2>
          <p>
            <Raw text={why.reason} />
          </p>
          {(why.documents ?? []).map((d) => (
            <Trace key={d.id} of={d.condition} />
          ))}
        </section>
      ) : null}
    </section>
  );
}

function Trace({ of: x, depth = 0 }: { of: Schema<"Trace">; depth?: number }) {
  const t = useText("rules");
  return (
    <div style={{ paddingLeft: depth === 0 ? 0 : 16, fontSize: 13, lineHeight: "24px" }}>
      <Pill dot={x.holds ? "good" : "bad"}>{x.holds ? t("holds") : t("holdsNot")}</Pill>{" "}
      <span className="mono">{x.field ? [x.field, ...(x.modifiers ?? [])].join("|") : (x.name ?? x.kind)}</span>{" "}
      {x.field ? (
        <>
          <span className="dim">{t("wanted")}</span> <Raw text={(x.wanted ?? []).map((w) => (w.null ? "null" : w.value)).slice(0, 8).join(", ")} className="mono" /> <span className="dim">{t("actual")}</span>{" "}
          <Raw text={(x.actual ?? []).join(", ") || "–"} className="mono" />
        </>
      ) : x.reason ? (
        <Raw text={x.reason} className="dim" />
      ) : null}
      {x.parts?.map((p, i) => <Trace key={i} of={p} depth={depth + 1} />)}
    </div>
  );
}
