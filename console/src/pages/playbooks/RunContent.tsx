import { Button, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { Block, Facts } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { runDots } from "./data";
import css from "./playbooks.module.css";

const going = ["QUEUED", "RUNNING", "WAITING", "ASKING"];

/** What a run did, step by step, and what it asks. */
export function RunContent({ id }: { id: string }) {
  const t = useText("playbooks");
  const words = useText("words");
  const act = useAct();
  const may = useMay("playbooks:write");
  const [note, setNote] = useState("");
  const q = useQuery({
    queryKey: ["playbook-runs", "one", id],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/playbook-runs/{id}", { params: { path: { id } }, signal })),
    refetchInterval: (query) => (query.state.data && going.includes(query.state.data.status) ? 2_000 : false),
  });
  if (q.isPending) return <Loading rows={6} />;
  if (q.error) return <Failed error={q.error} />;
  const r = q.data;
  const path = `/api/v1/playbook-runs/${id}`;
  const asks = r.steps.find((s) => s.status === "ASKING");
  const say = (how: "approve" | "deny") => void act({ call: { method: "POST", url: `${path}/${how}`, body: note.trim() ? { note: note.trim() } : {} }, done: how === "approve" ? t("approved") : t("denied"), renews: [["playbook-runs"]] });
  return (
    <>
      <section>
        <h2>{visible(r.playbook)}</h2>
        <br />
        <Facts
          of={[
            [words("status"), <Pill dot={runDots[r.status]}>{t(`run.${r.status}`)}</Pill>],
            [t("reason"), r.reason ? visible(r.reason) : null],
            [t("trigger"), `${t(`trigger.${r.trigger as "manual"}`)} · ${visible(r.startedBy)}`],
            [t("on"), r.incidentId ? <Link to={`/incidents/${r.incidentId}` as "/"}>{t("incident")}</Link> : r.alertId ? <Link to={`/alerts/${r.alertId}` as "/"}>{t("alert")}</Link> : null],
            [t("began"), r.startedAt ? <Time at={r.startedAt} exactly /> : null],
            [t("ended"), r.endedAt ? <Time at={r.endedAt} exactly /> : null],
          ]}
        />
      </section>
      {asks && may ? (
        <section className={css.asks}>
          <h2>{t("asks")}</h2>
          <Question of={asks.input} />
          {asks.until ? (
            <span className="dim">
              {t("until")} <Time at={asks.until} />
            </span>
          ) : null}
          <TextInput size="xs" label={t("note")} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
          <div className={css.buttons}>
            <Button size="xs" onClick={() => void confirm({ title: t("approve"), text: t("approveWhy"), action: t("approve") }).then((yes) => yes && say("approve"))}>
              {t("approve")}
            </Button>
            <Button size="xs" variant="default" onClick={() => say("deny")}>
              {t("deny")}
            </Button>
          </div>
        </section>
      ) : null}
      <section>
        <h2>{t("steps")}</h2>
        <ol className={css.log}>
          {r.steps.map((s) => (
            <li key={`${s.id}-${s.attempt}`}>
              <div className={css.nodeHead}>
                <Pill dot={runDots[s.status]}>{t(`run.${s.status}`)}</Pill>
                <b>{visible(s.id)}</b>
                <span className="dim">{t(`action.${s.action as "comment"}`)}</span>
                {s.attempt > 1 ? <span className="dim">{t("attempt", { n: s.attempt })}</span> : null}
                <Time at={s.startedAt} className="dim" />
              </div>
              {s.error ? <div className={css.error}>{visible(s.error)}</div> : null}
              {s.decidedBy ? (
                <div className="dim">
                  {visible(s.decidedBy)}
                  {s.note ? `: ${visible(s.note)}` : ""}
                </div>
              ) : null}
              {s.result !== null && s.result !== undefined ? (
                <details>
                  <summary>{t("result")}</summary>
                  <Block text={visible(JSON.stringify(s.result, null, 2))} />
                </details>
              ) : null}
            </li>
          ))}
        </ol>
      </section>
      {may && going.includes(r.status) ? (
        <div>
          <Button size="xs" variant="default" disabled={r.cancelling} onClick={() => void act({ call: { method: "POST", url: `${path}/cancel` }, done: t("cancelled"), renews: [["playbook-runs"]] })}>
            {t("cancelRun")}
          </Button>
        </div>
      ) : null}
    </>
  );
}

/** What is asked in words; what else the step was given stands below. */
function Question({ of: input }: { of: unknown }) {
  const { question, expires: _expires, ...rest } = (input ?? {}) as Record<string, unknown>;
  if (typeof question !== "string") return <Block text={visible(JSON.stringify(input, null, 2))} />;
  return (
    <>
      <p className={css.question}>{visible(question)}</p>
      {Object.keys(rest).length > 0 ? <Block text={visible(JSON.stringify(rest, null, 2))} /> : null}
    </>
  );
}
