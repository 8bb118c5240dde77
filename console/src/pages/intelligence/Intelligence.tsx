import { SegmentedControl } from "@mantine/core";

import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Allowed } from "./Allowed";
import { Feeds } from "./Feeds";
import { filters, Indicators } from "./Indicators";

const tabs = ["indicators", "feeds", "allowed"] as const;

/** Signs of known attackers: which are looked for, where they come from, what is left out. */
export default function Intelligence() {
  const t = useText("intelligence");
  const url = useUrl();
  const tab = tabs.find((x) => x === url.get("tab")) ?? "indicators";
  return (
    <>
      <PageHead title={t("title")}>
        <SegmentedControl
          size="xs"
          aria-label={t("title")}
          transitionDuration={0}
          value={tab}
          onChange={(v) => url.set({ ...Object.fromEntries(filters.map((n) => [n, undefined])), open: undefined, tab: v === "indicators" ? undefined : v })}
          data={tabs.map((value) => ({ value, label: t(`tab.${value}`) }))}
        />
      </PageHead>
      {tab === "indicators" ? <Indicators /> : tab === "feeds" ? <Feeds /> : <Allowed />}
    </>
  );
}
