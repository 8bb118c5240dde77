import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { useMay, useSession } from "~/api/session";
import { useSwitch } from "~/api/switch";
import { confirm } from "~/parts/Confirm";
import { Job } from "~/parts/Job";
import { Failed, Loading } from "~/parts/States";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { exact } from "~/time/time";

import css from "./settings.module.css";

export type DemoState = Schema<"DemoOutBody">;

/** Demo data: whether there is any, and what can be done with it. */
export function useDemo(enabled = true) {
  const q = useQuery({ queryKey: ["demo"], enabled, queryFn: ({ signal }) => answer(client.GET("/api/v1/demo", { signal })), refetchInterval: (of) => (of.state.data?.jobId ? 1_500 : false) });
  const t = useText("plan");
  const act = useAct();
  const go = useSwitch();
  const renews = [["demo"]];
  return {
    query: q,
    load: () => act<DemoState>({ call: { method: "POST", url: "/api/v1/demo" }, done: t("demoStarted"), renews: [...renews, ["session"]] }),
    remove: async (name: string) => {
      if (!(await confirm({ title: t("demoOff"), text: t("demoOffWhy", { name }), action: t("demoOff") }))) return;
      await act({ call: { method: "DELETE", url: "/api/v1/demo" }, done: t("demoRemoving"), renews });
    },
    go,
  };
}

/** Loads a recorded attack into a tenant of its own, and takes it away again. */
export default function Demo() {
  const t = useText("plan");
  const may = useMay("settings:write");
  const { tenant } = useSession();
  const demo = useDemo();
  const q = demo.query;
  if (q.isPending) return <Loading rows={3} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const d = q.data;
  return (
    <>
      <Top why={t("demoWhy")} />
      {d.jobId ? (
        <Job
          key={d.jobId}
          id={d.jobId}
          label={t("demoWorking")}
          onEnd={() => {
            void queries.invalidateQueries({ queryKey: ["demo"] });
            void queries.invalidateQueries({ queryKey: ["session"] });
          }}
        />
      ) : null}
      <div className={css.part}>
        {d.on && d.tenantId && d.name ? (
          <>
            <p>
              <b>{visible(d.name)}</b> · {t("demoHolds", { n: d.events, when: exact(Date.parse(d.createdAt!)), who: visible(d.createdBy!.replace(/^user:/, "")) })}
            </p>
            <div className={css.buttons}>
              {tenant.id === d.tenantId ? null : (
                <Button size="xs" onClick={() => void demo.go(d.tenantId!)}>
                  {t("demoLook")}
                </Button>
              )}
              <Button size="xs" variant="default" color="red" disabled={!may || d.removing} onClick={() => void demo.remove(d.name!)}>
                {t("demoOff")}
              </Button>
            </div>
          </>
        ) : (
          <>
            <p className="dim">{t("demoNone")}</p>
            <div className={css.buttons}>
              <Button size="xs" disabled={!may || d.jobId !== null} onClick={() => void demo.load()}>
                {t("demoOn")}
              </Button>
            </div>
          </>
        )}
      </div>
    </>
  );
}
