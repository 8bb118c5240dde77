import { SegmentedControl } from "@mantine/core";
import { lazy, Suspense } from "react";

import { useMay } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Queue } from "./Queue";

const List = lazy(() => import("./List"));

/** All tenants of a person at once, and for a provider the tenants themselves. */
export default function Tenants() {
  const t = useText("tenants");
  const url = useUrl();
  const provider = useMay("provider:read");
  const tab = provider && url.get("tab") === "tenants" ? "tenants" : "queue";
  return (
    <>
      <PageHead title={t("title")}>
        {provider ? (
          <SegmentedControl size="xs" aria-label={t("title")} transitionDuration={0} value={tab} onChange={(v) => url.set({ tab: v === "queue" ? undefined : v, open: undefined })} data={(["queue", "tenants"] as const).map((value) => ({ value, label: t(`tab.${value}`) }))} />
        ) : null}
      </PageHead>
      <Suspense fallback={<Loading />}>{tab === "queue" ? <Queue /> : <List />}</Suspense>
    </>
  );
}
