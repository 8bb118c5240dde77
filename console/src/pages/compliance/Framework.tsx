import { Button, Menu } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useMemo } from "react";

import { answer, client } from "~/api/client";
import { usePages } from "~/api/pages";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Partial } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { zoneNow } from "~/time/time";
import { useUrl, writeQuery } from "~/url/url";

import { Bar } from "./Bar";
import { useCollect } from "./Collect";
import css from "./compliance.module.css";
import { ControlContent } from "./ControlContent";
import { amount, modes, resultDots, statusDots, statuses, useFrameworks, useProfile, useTitles, type Control } from "./data";

const filters = ["search", "status", "mode", "domain", "check", "ready", "stale"] as const;

/** The controls of one framework, by domain, each with how it stands and why. */
export default function FrameworkPage() {
  const t = useText("compliance");
  const words = useText("words");
  const { framework } = useParams({ strict: false }) as { framework: string };
  const url = useUrl();
  const lang = useTitles();
  const language = useLanguage();
  const [profile] = useProfile();
  const { button, progress } = useCollect(framework);
  const name = useFrameworks(profile).data?.find((f) => f.id === framework);
  const query = { ...Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, url.all(n)])), lang, ...(profile ? { profile } : {}) };
  const list = usePages<Control>({ key: ["compliance", framework, "controls", query], load: (page, signal) => answer(client.GET("/api/v1/compliance/{framework}/controls", { params: { path: { framework }, query: { ...query, size: 100, page } as never }, signal })) });
  const assessment = useQuery({ queryKey: ["compliance", framework, "assessment", profile, lang], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/{framework}/assessment", { params: { path: { framework }, query: { lang, ...(profile ? { profile } : {}) } }, signal })) });
  const a = assessment.data;
  const columns = useMemo<Column<Control>[]>(
    () => [
      { id: "id", header: t("control"), width: "92px", cell: (c) => <span className="mono">{c.id}</span> },
      {
        id: "title",
        header: words("title"),
        width: "minmax(220px, 2fr)",
        cell: (c) => (
          <span className={css.two}>
            <span title={c.title}>{c.title}</span>
            <span>{c.domainTitle}</span>
          </span>
        ),
      },
      { id: "status", header: words("status"), width: "148px", cell: (c) => <Pill dot={statusDots[c.status]}>{t(`status.${c.status}`)}</Pill> },
      { id: "why", header: t("why"), width: "minmax(160px, 1fr)", from: 900, cell: (c) => <span className={css.cut} title={c.statusReason}>{c.statusReason}</span> },
      { id: "mode", header: t("mode"), width: "104px", from: 760, cell: (c) => t(`mode.${c.mode}`) },
      { id: "checks", header: t("checks"), width: "112px", from: 640, cell: (c) => <Marks of={c} /> },
      { id: "at", header: t("assessed"), width: "112px", align: "right", from: 560, cell: (c) => (c.lastAssessedAt ? <Time at={c.lastAssessedAt} className="dim" /> : <span className="dim">–</span>) },
    ],
    [t, words],
  );
  return (
    <>
      <PageHead title={name?.name ?? framework}>
        <Link to={"/compliance" as "/"} className={css.back}>
          {t("frameworks")}
        </Link>
      </PageHead>
      {a && name ? (
        <div className={css.summary}>
          <div className={css.big}>
            {amount(Math.round(name.score), language)}
            <small>%</small>
          </div>
          <div className={css.summaryBar}>
            <Bar counts={name} words />
          </div>
          <span className="dim">{t("coverage", { percent: amount(Math.round(a.evidenceCoverage), language) })}</span>
          {a.officialScore ? <span title={t("officialWhy")}>{t("official", { score: a.officialScore.score, highest: a.officialScore.highest })}</span> : null}
          {a.logRetention && !a.logRetention.enough ? <span className={css.warn}>{t("retention", { n: a.logRetention.configuredDays, required: a.logRetention.requiredDays })}</span> : null}
          <span className={css.space} />
          <Report framework={framework} profile={profile} />
          {button}
        </div>
      ) : null}
      {progress}
      {a && a.stale > 0 ? <Partial>{t("staleSome", { n: a.stale })}</Partial> : null}
      <FilterBar
        placeholder={t("findControl")}
        facets={[
          { id: "status", label: words("status"), options: statuses.map((s) => ({ value: s, label: t(`status.${s}`), mark: <i className={css.mark} data-status={s} aria-hidden /> })) },
          { id: "mode", label: t("mode"), options: modes.map((m) => ({ value: m, label: t(`mode.${m}`) })) },
          { id: "domain", label: t("domain"), options: (a?.domains ?? []).map((d) => ({ value: d.id, label: `${d.id} ${d.title} (${d.compliant}/${d.totalControls})` })) },
          { id: "ready", label: t("readyFilter"), options: [{ value: "true", label: t("readyOnly") }] },
          { id: "check", label: t("check") },
        ]}
      >
        <span className="dim" role="status">
          {list.query.data ? t("count", { n: list.total }) : ""}
        </span>
      </FilterBar>
      <Listing
        label={t("controls")}
        list={list}
        columns={columns}
        filters={filters}
        rowHeight={48}
        empty={{ title: t("noControls"), why: t("noControlsWhy") }}
        cardHeight={64}
        card={(c) => (
          <span className={css.two}>
            <span>
              <b className="mono">{c.id}</b> {c.title}
            </span>
            <span>{t(`status.${c.status}`)}</span>
          </span>
        )}
        panel={(id) => <ControlContent framework={framework} id={id} />}
      />
    </>
  );
}

/** One mark for each check, in its result's colour and shape. */
function Marks({ of: c }: { of: Control }) {
  const t = useText("compliance");
  return (
    <span className={css.marks} role="img" aria-label={c.checks.map((k) => `${k.title}: ${t(`result.${k.result}`)}`).join(", ")}>
      {c.checks.slice(0, 10).map((k) => (
        <i key={k.variant} data-result={resultDots[k.result]} title={`${k.title}: ${t(`result.${k.result}`)}`} />
      ))}
      {c.checks.length > 10 ? <span className="dim">+{c.checks.length - 10}</span> : null}
    </span>
  );
}

function Report({ framework, profile }: { framework: string; profile: string | undefined }) {
  const t = useText("compliance");
  const link = (format: string, lang: string) => `/api/v1/compliance/${framework}/report${writeQuery({ format, lang, profile, timeZone: zoneNow() })}`;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button size="xs" rightSection={<IconChevronDown size={14} aria-hidden />}>
          {t("report")}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {(["pdf", "html"] as const).flatMap((format) =>
          (["en", "ko"] as const).map((lang) => (
            <Menu.Item key={format + lang} component="a" href={link(format, lang)} {...(format === "pdf" ? { download: true } : { target: "_blank" })}>
              {t(`report.${format}`)}, {lang === "en" ? "English" : "한국어"}
            </Menu.Item>
          )),
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
