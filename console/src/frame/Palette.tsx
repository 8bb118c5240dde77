import { Modal } from "@mantine/core";
import { useMantineColorScheme } from "@mantine/core";
import { IconArrowRight, IconBell, IconFolder, IconListSearch, IconShieldCode, type Icon } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useId, useState } from "react";

import { answer, client } from "~/api/client";
import { readsOfPage } from "~/api/reads";
import { pages } from "~/pages/registry";
import { copy } from "~/parts/copy";
import { SeverityMark } from "~/parts/Severity";
import { term } from "~/parts/term";
import { toast } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { languages, setLanguage, useText, type Language } from "~/text/text";

import css from "./frame.module.css";

type Entry = { id: string; group: string; label: string; hint?: string; icon: Icon | typeof SeverityMark; severity?: "critical" | "high" | "medium" | "low" | "info"; run: () => void };

const address = /^[\da-f:.]+$/i;

/** Goes anywhere, finds anything, does what has no button in sight. */
export function Palette({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} withCloseButton={false} centered={false} size={620} padding={0} yOffset="12vh" className={css.paletteModal}>
      {opened ? <Content onClose={onClose} /> : null}
    </Modal>
  );
}

function Content({ onClose }: { onClose: () => void }) {
  const t = useText("frame");
  const parts = useText("parts");
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const list = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const asked = useDeferredValue(text.trim());
  const searching = asked.length >= 2;
  const options = { enabled: searching, staleTime: 30_000 };
  const alerts = useQuery({ ...options, queryKey: ["palette", "alerts", asked], queryFn: ({ signal }) => answer(client.GET("/api/v1/alerts", { params: { query: { search: asked, size: 5 } }, signal })) });
  const incidents = useQuery({ ...options, queryKey: ["palette", "incidents", asked], queryFn: ({ signal }) => answer(client.GET("/api/v1/incidents", { params: { query: { search: asked, size: 4 } }, signal })) });
  const rules = useQuery({ ...options, queryKey: ["palette", "rules", asked], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules", { params: { query: { search: asked, size: 4 } }, signal })) });

  const fits = (label: string) => asked === "" || label.toLowerCase().includes(asked.toLowerCase());
  const go = (to: string, search?: Record<string, string>) => () => void navigate({ to, ...(search ? { search: search as never } : {}) });
  const entries: Entry[] = [];
  for (const p of pages)
    if (p.nav) {
      const label = t(`nav.${p.id}` as "nav.alerts");
      if (fits(label)) entries.push({ id: `page-${p.id}`, group: t("pages"), label, icon: p.nav.icon, run: go(p.routes[0]!.path), ...(p.nav.key ? { hint: `g ${p.nav.key}` } : {}) });
    }
  if (searching) {
    entries.push({ id: "events", group: t("findIn"), label: t("searchEvents", { text: asked }), icon: IconListSearch, run: go("/search", { q: address.test(asked) && /[:.]/.test(asked) ? term("ip", asked) : asked }) });
    entries.push({ id: "entity", group: t("findIn"), label: t("alertsNaming", { text: asked }), icon: IconBell, run: go("/alerts", { entity: asked, status: "any" }) });
    for (const a of alerts.data?.content ?? []) entries.push({ id: a.id, group: t("nav.alerts"), label: visible(a.description || a.title), icon: SeverityMark, severity: a.severity, run: go(`/alerts/${a.id}`) });
    for (const i of incidents.data?.content ?? []) entries.push({ id: i.id, group: t("nav.incidents"), label: visible(i.title), icon: IconFolder, run: go(`/incidents/${i.id}`) });
    for (const r of rules.data?.content ?? []) entries.push({ id: r.id, group: t("nav.rules"), label: visible(r.name), icon: IconShieldCode, run: go(`/rules/${r.id}`) });
  }
  const reads = readsOfPage();
  const copied = (what: string) => void copy(what).then((ok) => ok && toast(parts("copied")));
  const commands: [string, string, () => void][] = [
    ["light", `${t("theme")}: ${t("theme.light")}`, () => setColorScheme("light")],
    ["dark", `${t("theme")}: ${t("theme.dark")}`, () => setColorScheme("dark")],
    ...(Object.keys(languages) as Language[]).map((l): [string, string, () => void] => [l, `${t("language")}: ${languages[l]}`, () => void setLanguage(l)]),
    ...(reads === "" ? [] : [["curl", t("copyCalls"), () => copied(reads)] as [string, string, () => void]]),
    ["print", t("print"), () => setTimeout(() => window.print(), 100)],
    ["link", parts("copyLink"), () => copied(window.location.href)],
  ];
  for (const [id, label, run] of commands) if (fits(label)) entries.push({ id: `do-${id}`, group: t("commands"), label, icon: IconArrowRight, run });

  const now = Math.min(at, entries.length - 1);
  const run = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    entry.run();
  };
  return (
    <div className={css.palette}>
      <input
        className={css.paletteInput}
        role="combobox"
        aria-expanded
        aria-controls={list}
        aria-activedescendant={entries[now] ? `${list}-${entries[now].id}` : undefined}
        aria-label={t("findAnything")}
        placeholder={t("palettePlaceholder")}
        autoFocus
        data-autofocus
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(e) => {
          if (e.nativeEvent.isComposing) return;
          const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
          if (by !== undefined) {
            e.preventDefault();
            setAt((now + by + entries.length) % entries.length);
          } else if (e.key === "Enter") {
            e.preventDefault();
            run(entries[now]);
          }
        }}
      />
      <div id={list} role="listbox" aria-label={t("findAnything")} className={css.paletteList}>
        {entries.map((e, i) => {
          const Mark = e.icon as Icon;
          return (
            <div key={e.id} role="presentation">
              {e.group !== entries[i - 1]?.group ? (
                <div className={css.paletteGroup} role="presentation">
                  {e.group}
                </div>
              ) : null}
              <div
                id={`${list}-${e.id}`}
                role="option"
                aria-selected={i === now}
                className={css.paletteEntry}
                ref={i === now ? (el) => el?.scrollIntoView({ block: "nearest" }) : null}
                onPointerMove={() => i !== now && setAt(i)}
                onClick={() => run(e)}
              >
                {e.severity ? <SeverityMark of={e.severity} /> : <Mark size={16} stroke={1.6} aria-hidden />}
                <span>{e.label}</span>
                {e.hint ? <kbd>{e.hint}</kbd> : null}
              </div>
            </div>
          );
        })}
        {entries.length === 0 ? <div className={css.paletteGroup}>{t("nothingFound")}</div> : null}
      </div>
    </div>
  );
}
