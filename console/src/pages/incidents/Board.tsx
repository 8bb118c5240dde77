import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { useKeys } from "~/keys/keys";
import { Raw } from "~/parts/Raw";
import { SeverityMark } from "~/parts/Severity";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { statuses, titleOf, type Row, type Status } from "./data";
import { Due } from "./Due";
import css from "./incidents.module.css";

/** Five columns, one for each step. Cards are dragged, or moved with shift and the arrow keys. */
export function Board({ rows, onMove, onOpen, more }: { rows: Row[]; onMove: ((row: Row, to: Status) => void) | undefined; onOpen: (row: Row) => void; more: () => void }) {
  const t = useText("incidents");
  const words = useText("words");
  const [dragged, setDragged] = useState<string>();
  const [over, setOver] = useState<Status>();
  const [active, setActive] = useState<string>();
  const board = useRef<HTMLDivElement>(null);
  const columns = statuses.map((s) => rows.filter((r) => r.status === s));
  const at = rows.find((r) => r.id === active);
  const column = at ? statuses.indexOf(at.status) : -1;

  // More pages wait behind every column: they are read while the board is shown.
  useEffect(() => more(), [more, rows.length]);

  const go = (to: Row | undefined) => {
    if (to === undefined) return;
    setActive(to.id);
    board.current?.querySelector<HTMLElement>(`[data-card="${to.id}"]`)?.focus();
  };
  const beside = (by: number) => {
    if (at === undefined) return go(columns.find((c) => c.length > 0)?.[0]);
    const row = columns[column]!.indexOf(at);
    for (let c = column + by; c >= 0 && c < columns.length; c += by) if (columns[c]!.length > 0) return go(columns[c]![Math.min(row, columns[c]!.length - 1)]);
  };
  const along = (by: number) => {
    if (at === undefined) return go(columns.find((c) => c.length > 0)?.[0]);
    go(columns[column]![columns[column]!.indexOf(at) + by]);
  };
  const shift = (by: number) => {
    const to = statuses[column + by];
    if (at && to) onMove?.(at, to);
  };
  const group = t("board");
  useKeys([
    { keys: "j", label: t("keyDown"), group, run: () => along(1) },
    { keys: "k", label: t("keyUp"), group, run: () => along(-1) },
    { keys: "h", label: t("keyLeft"), group, run: () => beside(-1) },
    { keys: "l", label: t("keyRight"), group, run: () => beside(1) },
    { keys: "ArrowDown", label: t("keyDown"), group, quiet: true, run: () => along(1) },
    { keys: "ArrowUp", label: t("keyUp"), group, quiet: true, run: () => along(-1) },
    { keys: "ArrowLeft", label: t("keyLeft"), group, quiet: true, run: () => beside(-1) },
    { keys: "ArrowRight", label: t("keyRight"), group, quiet: true, run: () => beside(1) },
    ...(onMove
      ? [
          { keys: "shift+ArrowRight", label: t("keyForward"), group, run: () => shift(1) },
          { keys: "shift+ArrowLeft", label: t("keyBackward"), group, run: () => shift(-1) },
        ]
      : []),
    { keys: "Enter", label: t("open"), group, run: () => at && onOpen(at) },
  ]);

  return (
    <div ref={board} className={css.board}>
      {statuses.map((s, i) => (
        <section
          key={s}
          className={css.column}
          aria-label={words(`incident.${s}`)}
          data-over={over === s || undefined}
          onDragOver={(e) => {
            if (dragged === undefined) return;
            e.preventDefault();
            setOver(s);
          }}
          onDragLeave={(e) => {
            if (!e.currentTarget.contains(e.relatedTarget as Node)) setOver(undefined);
          }}
          onDrop={(e) => {
            e.preventDefault();
            const row = rows.find((r) => r.id === dragged);
            setOver(undefined);
            setDragged(undefined);
            if (row) onMove?.(row, s);
          }}
        >
          <h2 className={css.columnHead}>
            {words(`incident.${s}`)} <span className="dim">{columns[i]!.length}</span>
          </h2>
          <div className={css.cards} tabIndex={-1}>
            {columns[i]!.map((r) => (
              <article
                key={r.id}
                data-card={r.id}
                className={css.card}
                data-active={r.id === active || undefined}
                data-dragged={r.id === dragged || undefined}
                tabIndex={0}
                aria-label={titleOf(r)}
                draggable={onMove !== undefined}
                onFocus={() => setActive(r.id)}
                onDragStart={(e) => {
                  e.dataTransfer.effectAllowed = "move";
                  e.dataTransfer.setData("text/plain", r.id);
                  setDragged(r.id);
                }}
                onDragEnd={() => {
                  setDragged(undefined);
                  setOver(undefined);
                }}
                onClick={(e) => {
                  if (!(e.target as HTMLElement).closest("a")) onOpen(r);
                }}
              >
                <div className={css.cardTitle}>
                  <SeverityMark of={r.severity} />
                  <Link to={`/incidents/${r.id}`} tabIndex={-1}>
                    <Raw text={titleOf(r)} />
                  </Link>
                </div>
                <div className={css.cardFacts}>
                  <span className={css.cardOf}>
                    {t("alertsIn", { n: r.alertCount })}
                    {r.mitreTechnique ? <span className="mono">{r.mitreTechnique}</span> : null}
                  </span>
                  {s === "CLOSED" ? <Time at={r.triage?.closedAt ?? r.createdAt} /> : <Due at={r.triage?.slaDueAt} />}
                </div>
                {r.assignedTo ? <Raw text={r.assignedTo} className={css.cardWho} /> : null}
              </article>
            ))}
            {columns[i]!.length === 0 ? <p className={css.none}>{t("noCases")}</p> : null}
          </div>
        </section>
      ))}
    </div>
  );
}
