import { Button } from "@mantine/core";
import { useEffect } from "react";

import { queries } from "~/api/queries";
import { useText } from "~/text/text";

import { useDemo } from "../settings/Demo";
import css from "./overview.module.css";

/** Another way to begin: a recorded attack, apart from everything real. */
export default function DemoOffer() {
  const t = useText("overview");
  const demo = useDemo();
  const d = demo.query.data;
  const loaded = d?.on === true && d.jobId === null;
  useEffect(() => {
    if (loaded) void queries.invalidateQueries({ queryKey: ["session"] });
  }, [loaded]);
  if (!d) return null;
  return (
    <div className={css.offer}>
      <div>
        <b>{t("firstDemo")}</b>
        <p className="dim">{t("firstDemoWhy")}</p>
      </div>
      {loaded ? (
        <Button size="xs" onClick={() => void demo.go(d.tenantId!)}>
          {t("firstDemoLook")}
        </Button>
      ) : (
        <Button size="xs" variant="default" loading={d.jobId !== null} onClick={() => void demo.load()}>
          {t("firstDemoLoad")}
        </Button>
      )}
    </div>
  );
}
