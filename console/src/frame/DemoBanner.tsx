import { UnstyledButton } from "@mantine/core";
import { IconFlask } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { queries } from "~/api/queries";
import { sessionQuery, switchTenant, useMay, useSession } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { toastFault } from "~/parts/Toasts";
import { useText } from "~/text/text";

import css from "./frame.module.css";

/** Says on every page that what is shown is no real data. */
export function DemoBanner() {
  const { tenant } = useSession();
  return tenant.demo ? <Banner /> : null;
}

function Banner() {
  const t = useText("frame");
  const plan = useText("plan");
  const { tenant, tenants } = useSession();
  const may = useMay("settings:write");
  const act = useAct();
  const router = useRouter();
  const demo = useQuery({
    queryKey: ["demo"],
    enabled: may,
    queryFn: ({ signal }) => answer(client.GET("/api/v1/demo", { signal })),
    refetchInterval: (q) => (q.state.data?.jobId ? 1_000 : false),
  });
  // When it is removed the server brings the session back: the page follows, once.
  const gone = demo.data !== undefined && demo.data.tenantId !== tenant.id;
  useEffect(() => {
    if (!gone) return;
    void queries.fetchQuery({ ...sessionQuery, staleTime: 0 }).then(() => {
      void queries.invalidateQueries({ predicate: (q) => q.queryKey[0] !== "session" });
      return router.navigate({ to: "/" });
    });
  }, [gone, router]);
  const home = tenants.find((x) => x.id === demo.data?.of) ?? tenants.find((x) => !x.demo);
  return (
    <div className={css.demo} role="note">
      <IconFlask size={16} stroke={1.6} aria-hidden />
      <span>{t("demoBanner")}</span>
      {home ? (
        <UnstyledButton
          className={css.demoAct}
          onClick={() =>
            void switchTenant(home.id)
              .then(() => router.navigate({ to: "/" }))
              .then(() => router.invalidate())
              .catch((error: unknown) => toastFault(t("switchFailed"), error))
          }
        >
          {t("demoBack", { name: home.name })}
        </UnstyledButton>
      ) : null}
      {may ? (
        <UnstyledButton
          className={css.demoAct}
          disabled={Boolean(demo.data?.jobId)}
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
