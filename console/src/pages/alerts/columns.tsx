import { HoverCard } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";

import type { Column } from "~/parts/DataTable";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity, SeverityMark } from "~/parts/Severity";
import { Value } from "~/parts/Value";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./alerts.module.css";
import type { AlertRow, Status } from "./data";

const dots = { OPEN: "todo", IN_PROGRESS: "doing", RESOLVED: "done", FALSE_POSITIVE: "off" } as const;

export function StatusPill({ of }: { of: Status }) {
  const t = useText("words");
  return <Pill dot={dots[of]}>{t(`alert.${of}`)}</Pill>;
}

/** What happened comes first, the rule's name under it is why we know. */
function What({ row }: { row: AlertRow }) {
  return (
    <span className={css.what}>
      <Raw text={row.description || row.title} className={css.sentence} />
      {row.description && row.description !== row.title ? <Raw text={row.title} className={css.ruleName} /> : null}
    </span>
  );
}

/** How urgent it is, and why, by pointing, focus or touch. */
export function Priority({ of }: { of: AlertRow }) {
  const t = useText("alerts");
  const p = of.triage?.priority;
  if (!p) return null;
  return (
    <HoverCard width={300} openDelay={250} position="bottom-end" withinPortal>
      <HoverCard.Target>
        <button type="button" className={css.priority} tabIndex={-1} aria-label={t("priorityIs", { n: p.score })}>
          {p.score}
        </button>
      </HoverCard.Target>
      <HoverCard.Dropdown>
        <PriorityParts of={p} />
      </HoverCard.Dropdown>
    </HoverCard>
  );
}

/** What makes a priority, as a sum. */
export function PriorityParts({ of: p }: { of: NonNullable<NonNullable<AlertRow["triage"]>["priority"]> }) {
  const t = useText("alerts");
  return (
    <dl className={css.parts}>
      {p.parts.map((x) => (
        <div key={x.name}>
          <dt>
            {t(`part.${x.name}`)} <Raw text={x.reason} className="dim" />
          </dt>
          <dd>{x.points > 0 ? `+${x.points}` : x.points}</dd>
        </div>
      ))}
    </dl>
  );
}

export function useColumns(): Column<AlertRow>[] {
  const t = useText("alerts");
  const words = useText("words");
  const language = useLanguage();
  return useMemo(
    () => [
      { id: "severity", header: words("severity"), width: "92px", sort: "severity", cell: (r) => <Severity of={r.severity} /> },
      { id: "what", header: t("what"), width: "minmax(240px, 1fr)", sort: "title", cell: (r) => <What row={r} /> },
      { id: "priority", header: t("priority"), width: "76px", align: "right", sort: "priority", from: 560, cell: (r) => <Priority of={r} /> },
      { id: "status", header: words("status"), width: "116px", sort: "status", from: 620, cell: (r) => <StatusPill of={r.status} /> },
      {
        id: "entities", header: words("entities"), width: "200px", from: 1400,
        cell: (r) => (
          <span className={css.entities}>
            {r.triage?.entities.slice(0, 2).map((e) => <Value key={e.field + e.value} field={e.field} value={e.value} className={css.entity} />)}
            {(r.triage?.entities.length ?? 0) > 2 ? <span className="dim">+{r.triage!.entities.length - 2}</span> : null}
          </span>
        ),
      },
      { id: "tactic", header: words("technique"), width: "84px", from: 1500, cell: (r) => <span title={r.mitreTactic}>{r.mitreTechnique ? <Value field="mitre" value={r.mitreTechnique} /> : null}</span> },
      { id: "source", header: words("source"), width: "88px", from: 1040, cell: (r) => (r.source ? <Value field="source" value={r.source} className={css.cut} /> : null) },
      { id: "assignee", header: words("assignee"), width: "104px", from: 860, cell: (r) => (r.triage?.assignedTo ? <Raw text={r.triage.assignedTo.split("@")[0]!} className={css.cut} /> : <span className={css.nobody}>–</span>) },
      { id: "occurrences", header: t("occurrences"), width: "68px", align: "right", from: 940, cell: (r) => r.triage?.occurrences.toLocaleString(language) },
      { id: "lastSeen", header: t("lastSeen"), width: "92px", align: "right", sort: "lastSeen", from: 720, cell: (r) => <Time at={r.triage?.lastSeen ?? r.createdAt} className="dim" /> },
    ],
    [t, words, language],
  );
}

/** A row on a phone. */
export function Card({ row }: { row: AlertRow }) {
  const t = useText("words");
  return (
    <div className={css.card}>
      <div className={css.cardTop}>
        <SeverityMark of={row.severity} />
        <Raw text={row.description || row.title} className={css.cardText} />
      </div>
      <div className={css.cardBottom}>
        <span>{t(`alert.${row.status}`)}</span>
        <Raw text={row.source} />
        <Time at={row.triage?.lastSeen ?? row.createdAt} />
      </div>
    </div>
  );
}

/** The title of an alert as a link to its page. */
export function AlertLink({ row }: { row: Pick<AlertRow, "id" | "severity" | "title" | "description" | "status" | "createdAt"> }) {
  return (
    <Link to={`/alerts/${row.id}`} className={css.alertLink}>
      <SeverityMark of={row.severity} />
      <Raw text={row.description || row.title} className={css.sentence} />
      <StatusPill of={row.status} />
      <Time at={row.createdAt} className="dim" />
    </Link>
  );
}
