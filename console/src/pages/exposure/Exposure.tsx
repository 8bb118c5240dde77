import { SegmentedControl } from "@mantine/core";

import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Domains } from "./Domains";
import { Names } from "./Names";

const tabs = ["names", "domains"] as const;

/** What of the house can be seen from outside: its domains and the host names under them. */
export default function Exposure() {
  const t = useText("exposure");
  const url = useUrl();
  const tab = tabs.find((x) => x === url.get("tab")) ?? "names";
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl
          size="xs"
          aria-label={t("title")}
          transitionDuration={0}
          value={tab}
          onChange={(v) => url.set({ tab: v === "names" ? undefined : v, open: undefined, search: undefined, state: undefined, source: undefined, problem: undefined, domain: undefined })}
          data={tabs.map((value) => ({ value, label: t(`tab.${value}`) }))}
        />
      </PageHead>
      {tab === "names" ? <Names /> : <Domains />}
    </>
  );
}
