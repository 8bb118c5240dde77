import { UnstyledButton } from "@mantine/core";
import { IconFlask } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { queries } from "~/api/queries";
import { switchTenant, useMay, useSession } from "~/api/session";
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
  // While it is removed the server brings the session back: the page follows.
  const demo = useQuery({
    queryKey: ["demo"],
    enabled: may,
    queryFn: ({ signal }) => answer(client.GET("/api/v1/demo", { signal })),
    refetchInterval: (q) => {
      const d = q.state.data;
      if (d && d.tenantId !== tenant.id) void queries.invalidateQueries().then(() => router.navigate({ to: "/" }));
      return d?.jobId ? 1_000 : false;
    },
  });
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
