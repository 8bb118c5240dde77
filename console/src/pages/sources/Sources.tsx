import { SegmentedControl } from "@mantine/core";
import { useEffect, useRef } from "react";

import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Canary } from "./Canary";
import { Collectors } from "./Collectors";
import { Ledger } from "./Ledger";
import { LogSources } from "./LogSources";
import { Parse } from "./Parse";
import { Quarantine } from "./Quarantine";
import { Readings } from "./Readings";
import css from "./sources.module.css";

const shown = { collectors: Collectors, logs: LogSources, readings: Readings, ledger: Ledger, quarantine: Quarantine, canary: Canary, parse: Parse } as const;
const tabs = Object.keys(shown) as (keyof typeof shown)[];

/** Where logs come from, how they are read, and the proof that none went missing. */
export default function Sources() {
  const t = useText("sources");
  const url = useUrl();
  const tab = tabs.find((x) => x === url.get("tab")) ?? "collectors";
  const Shown = shown[tab];
  const bar = useRef<HTMLDivElement>(null);
  // On a phone they are longer than the screen.
  useEffect(() => {
    bar.current?.querySelector("input:checked")?.parentElement?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  return (
    <>
      <PageHead title={t("title")} />
      {/* More of them than fit beside the title. */}
      <div ref={bar} className={css.tabs}>
        <SegmentedControl
          size="xs"
          aria-label={t("title")}
          transitionDuration={0}
          value={tab}
          onChange={(v) => url.set({ tab: v === "collectors" ? undefined : v, open: undefined, search: undefined, status: undefined, source: undefined, show: undefined, reason: undefined })}
          data={tabs.map((value) => ({ value, label: t(`tab.${value}`) }))}
        />
      </div>
      <Shown />
    </>
  );
}
