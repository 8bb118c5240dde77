import { Tabs } from "@mantine/core";
import { lazy, Suspense } from "react";

import { useKeys } from "~/keys/keys";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import css from "./alerts.module.css";
import { PriorityParts, StatusPill } from "./columns";
import { rowsShown, useAlert } from "./data";
import History from "./History";
import { Story } from "./Story";

const Events = lazy(() => import("./Events"));
const Rule = lazy(() => import("./Rule"));
const Explain = lazy(() => import("./Explain"));
const Similar = lazy(() => import("./Similar"));

const tabs = ["story", "events", "rule", "explain", "similar", "history"] as const;
type Tab = (typeof tabs)[number];

/** An alert: the story first, everything else one key away. */
export function AlertContent({ id, wide = false }: { id: string; wide?: boolean }) {
  const t = useText("alerts");
  const words = useText("words");
  const url = useUrl();
  const { data: alert, error, isPending, refetch } = useAlert(id);
  // Its place among the others is known from the list that it was opened from.
  const priority = rowsShown().find((r) => r.id === id)?.triage?.priority;
  const tab = (tabs as readonly string[]).includes(url.get("tab") ?? "") ? (url.get("tab") as Tab) : "story";
  const show = (next: Tab) => url.set({ tab: next === "story" ? undefined : next }, { replace: true });
  useKeys(tabs.map((name, i) => ({ keys: String(i + 1), label: t(`tab.${name}`), group: t("title"), run: () => show(name) })));
  if (isPending) return <Loading />;
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  return (
    <article className={css.alert} data-wide={wide || undefined} aria-label={alert.title}>
      <header className={css.alertHead}>
        <div className={css.marks}>
          <Severity of={alert.severity} />
          <StatusPill of={alert.status} />
          {alert.verdict ? <Pill>{words(`verdict.${alert.verdict as "BENIGN"}`)}</Pill> : null}
          <span className="dim">{alert.assignedTo ? <Raw text={alert.assignedTo} /> : words("unassigned")}</span>
          <Time at={alert.lastSeen} className={css.when} />
        </div>
        <h2 className={css.headline}>
          <Raw text={alert.description || alert.title} />
        </h2>
        {priority ? (
          <details className={css.why}>
            <summary>{t("priorityIs", { n: priority.score })}</summary>
            <PriorityParts of={priority} />
          </details>
        ) : null}
      </header>
      <Tabs value={tab} onChange={(v) => show(v as Tab)} keepMounted={false}>
        <Tabs.List className={css.tabs}>
          {tabs.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t(`tab.${name}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Suspense fallback={<Loading />}>
          <Tabs.Panel value="story">
            <Story alert={alert} onAll={() => show("events")} />
          </Tabs.Panel>
          <Tabs.Panel value="events">
            <Events alert={alert} />
          </Tabs.Panel>
          <Tabs.Panel value="rule">
            <Rule alert={alert} />
          </Tabs.Panel>
          <Tabs.Panel value="explain">
            <Explain alert={alert} />
          </Tabs.Panel>
          <Tabs.Panel value="similar">
            <Similar alert={alert} />
          </Tabs.Panel>
          <Tabs.Panel value="history">
            <History alert={alert} />
          </Tabs.Panel>
        </Suspense>
      </Tabs>
    </article>
  );
}
