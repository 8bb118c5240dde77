import { UnstyledButton } from "@mantine/core";
import { IconFlask } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { queries } from "~/api/queries";
import { sessionQuery, useMay, useSession } from "~/api/session";
import { useSwitch } from "~/api/switch";
import { confirm } from "~/parts/Confirm";
import { useText } from "~/text/text";

import css from "./frame.module.css";

/** Says on every page that what is shown is no real data. */
export function DemoBanner() {
  const { tenant, tenants } = useSession();
  const router = useRouter();
  // Where somebody removes the demo, the server brings every session back to the real
  // tenant: the page asks, and follows before anything is done there by mistake.
  useQuery({ ...sessionQuery, enabled: tenant.demo, refetchInterval: 5_000 });
  const before = useRef(tenant);
  useEffect(() => {
    const was = before.current;
    before.current = tenant;
    if (!was.demo || tenant.demo) return;
    void queries.resetQueries({ predicate: (q) => q.queryKey[0] !== sessionQuery.queryKey[0] });
    // Who switched on purpose is on the way somewhere already.
    if (!tenants.some((x) => x.id === was.id)) void router.navigate({ to: "/" });
  }, [tenant, tenants, router]);
  return tenant.demo ? <Banner /> : null;
}

function Banner() {
  const t = useText("frame");
  const plan = useText("plan");
  const { tenant, tenants } = useSession();
  const may = useMay("settings:write");
  const act = useAct();
  const go = useSwitch();
  const demo = useQuery({
    queryKey: ["demo"],
    enabled: may,
    queryFn: ({ signal }) => answer(client.GET("/api/v1/demo", { signal })),
    refetchInterval: (q) => (q.state.data?.jobId ? 1_000 : false),
  });
  const home = tenants.find((x) => x.id === tenant.demoOf);
  return (
    <div className={css.demo} role="note">
      <IconFlask size={16} stroke={1.6} aria-hidden />
      <span>{t("demoBanner")}</span>
      {home ? (
        <UnstyledButton className={css.demoAct} onClick={() => void go(home.id)}>
          {t("demoBack", { name: home.name })}
        </UnstyledButton>
      ) : null}
      {may ? (
        <UnstyledButton
          className={css.demoAct}
          disabled={demo.data?.removing}
          onClick={() =>
            void confirm({ title: plan("demoOff"), text: plan("demoOffWhy", { name: tenant.name }), action: plan("demoOff") }).then((yes) => {
              if (yes) void act({ call: { method: "DELETE", url: "/api/v1/demo" }, done: plan("demoRemoving"), renews: [["demo"]] });
            })
          }
        >
          {t("demoRemove")}
        </UnstyledButton>
      ) : null}
    </div>
  );
}
