import { Button, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { confirm } from "~/parts/Confirm";
import { Dialog } from "~/parts/Dialog";
import { Block, Facts } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Editor } from "./Editor";
import { Graph } from "./Graph";
import css from "./playbooks.module.css";
import { Runs } from "./Playbooks";

type Trial = Schema<"PlaybookTrialOutBody">;

/** One playbook: its steps as a graph, its text, its runs; a dry run shows what it would do. */
export default function PlaybookPage() {
  const t = useText("playbooks");
  const forms = useText("forms");
  const url = useUrl();
  const { id } = useParams({ strict: false }) as { id: string };
  const act = useAct();
  const may = useMay("playbooks:write");
  const q = useQuery({ queryKey: ["playbooks", "one", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/playbooks/{id}", { params: { path: { id } }, signal })) });
  const [asked, setAsked] = useState<"dry" | "run" | "edit">();
  const [trial, setTrial] = useState<Trial>();
  const tabs = ["graph", "yaml", "runs"] as const;
  const tab = tabs.find((x) => x === url.get("tab")) ?? "graph";
  const p = q.data;
  const path = `/api/v1/playbooks/${id}`;
  const renews = [["playbooks"], ["playbook-runs"]];
  const on = p?.status === "enabled";
  return (
    <>
      <PageHead title={p?.name ?? t("title")}>
        <Link to={"/playbooks" as "/"} className={css.back}>
          {t("title")}
        </Link>
      </PageHead>
      {q.isPending ? <Loading rows={8} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {p ? (
        <>
          <div className={css.top}>
            <SegmentedControl size="xs" aria-label={p.name} transitionDuration={0} value={tab} onChange={(v) => url.set({ tab: v === "graph" ? undefined : v, open: undefined })} data={tabs.map((value) => ({ value, label: t(`view.${value}`) }))} />
            <Pill dot={on ? "good" : "off"}>{on ? forms("enabled") : forms("disabled")}</Pill>
            <span className={css.space} />
            {may ? (
              <>
                <Button size="xs" variant="default" onClick={() => setAsked("dry")}>
                  {t("dryRun")}
                </Button>
                <Button size="xs" variant="default" onClick={() => setAsked("run")}>
                  {t("runNow")}
                </Button>
                <Button size="xs" variant="default" onClick={() => setAsked("edit")}>
                  {p.origin === "builtin" ? t("copyOf") : forms("change")}
                </Button>
                <Button size="xs" variant="default" onClick={() => void act({ call: { method: "PATCH", url: path, body: { enabled: !on } }, undo: { method: "PATCH", url: path, body: { enabled: on } }, done: on ? forms("switchedOff") : forms("switchedOn"), renews })}>
                  {on ? forms("switchOff") : forms("switchOn")}
                </Button>
              </>
            ) : null}
          </div>
          {tab === "graph" ? (
            <div className={css.page}>
              <p>{visible(p.description)}</p>
              <Facts
                of={[
                  [t("trigger"), `${t(`trigger.${p.trigger.event}`)}${p.trigger.every ? ` (${p.trigger.every})` : ""}`],
                  [t("condition"), p.condition ? <span className="mono">{visible(p.condition)}</span> : t("alwaysRuns")],
                  [t("next"), p.nextRunAt ? <Time at={p.nextRunAt} /> : null],
                  [
                    t("outside"),
                    p.outsideSteps.length === 0 ? null : (
                      <span className={css.outside}>
                        <Pill dot={p.allowOutside ? "warn" : "off"}>{p.allowOutside ? t("allowed") : t("notAllowed")}</Pill> {p.outsideSteps.join(", ")}
                        {may ? (
                          <Button
                            size="compact-xs"
                            variant="default"
                            onClick={() =>
                              void (p.allowOutside ? Promise.resolve(true) : confirm({ title: t("allow"), text: t("allowWhy", { steps: p.outsideSteps.join(", ") }), action: t("allow") })).then(
                                (yes) => yes && act({ call: { method: "PATCH", url: path, body: { allowOutside: !p.allowOutside } }, undo: { method: "PATCH", url: path, body: { allowOutside: p.allowOutside } }, done: forms("saved"), renews }),
                              )
                            }
                          >
                            {p.allowOutside ? t("forbid") : t("allow")}
                          </Button>
                        ) : null}
                      </span>
                    ),
                  ],
                ]}
              />
              {trial ? <TrialNote of={trial} onClose={() => setTrial(undefined)} /> : null}
              <Graph playbook={p} trial={trial} />
            </div>
          ) : tab === "yaml" ? (
            <div className={css.page}>
              <Block label="YAML" text={visible(p.yaml)} />
            </div>
          ) : (
            <Runs playbook={id} />
          )}
          {asked === "edit" ? <Editor of={p} onClose={() => setAsked(undefined)} /> : null}
          {asked === "dry" || asked === "run" ? <Target dry={asked === "dry"} path={path} outside={p.allowOutside ? p.outsideSteps : []} onClose={() => setAsked(undefined)} onTrial={setTrial} /> : null}
        </>
      ) : null}
    </>
  );
}

function TrialNote({ of: trial, onClose }: { of: Trial; onClose: () => void }) {
  const t = useText("playbooks");
  const parts = useText("parts");
  return (
    <div className={css.trial} role="status">
      <span>{trial.conditionHolds ? t("trialHolds") : t("trialHoldsNot")}</span>
      <Button size="compact-xs" variant="subtle" color="gray" onClick={onClose}>
        {parts("close")}
      </Button>
    </div>
  );
}

/** On what the playbook is run: an alert or an incident by its id, or nothing. */
function Target({ dry, path, outside, onClose, onTrial }: { dry: boolean; path: string; outside: string[]; onClose: () => void; onTrial: (t: Trial) => void }) {
  const t = useText("playbooks");
  const act = useAct();
  const url = useUrl();
  const [alert, setAlert] = useState("");
  const [incident, setIncident] = useState("");
  return (
    <Dialog
      title={dry ? t("dryRun") : t("runNow")}
      action={dry ? t("dryRun") : t("runNow")}
      onClose={onClose}
      onSubmit={async () => {
        const body = { ...(alert.trim() ? { alertId: alert.trim() } : {}), ...(incident.trim() ? { incidentId: incident.trim() } : {}) };
        if (dry) {
          const got = await act<Trial>({ call: { method: "POST", url: `${path}/dry-run`, body }, done: t("dryRunDone"), renews: [] });
          if (got) onTrial(got);
          return got !== undefined;
        }
        const got = await act<{ id: string }>({ call: { method: "POST", url: `${path}/run`, body }, done: t("runBegun"), renews: [["playbook-runs"], ["playbooks"]] });
        if (got) url.set({ tab: "runs", open: got.id });
        return got !== undefined;
      }}
    >
      <p style={{ margin: 0 }} className="dim">
        {dry ? t("dryRunWhy") : outside.length > 0 ? t("runOutside", { steps: outside.join(", ") }) : t("runWhy")}
      </p>
      <TextInput label={t("incidentId")} value={incident} onChange={(e) => setIncident(e.currentTarget.value)} data-autofocus />
      <TextInput label={t("alertId")} value={alert} onChange={(e) => setAlert(e.currentTarget.value)} />
    </Dialog>
  );
}
