import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef, useState } from "react";

import { useKeys } from "~/keys/keys";
import { EventFields } from "~/parts/EventFields";
import { printed, usePrinting } from "~/parts/printing";
import { Raw } from "~/parts/Raw";
import { SeverityMark } from "~/parts/Severity";
import { Value } from "~/parts/Value";
import { useText } from "~/text/text";
import { both, exact, useZone } from "~/time/time";

import type { StoredEvent } from "./data";
import css from "./search.module.css";

/** Of a line that is not opened, as .eventRow has it. The virtualiser remembers the height
 *  of each line that has another, for ever: while following there must be none. */
const rowHeight = 28;

/** Events as lines that open; only those in sight are drawn. */
export function Events({ events, more, total }: { events: StoredEvent[]; more?: (() => void) | undefined; total: number }) {
  const t = useText("search");
  const parts = useText("parts");
  const words = useText("words");
  const scroller = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(-1);
  useZone();
  const printing = usePrinting();
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: printing ? printed : 8,
    getItemKey: (i) => events[i]?.id ?? i,
    // Heights come from the observer alone: reading one here lays the page out again for
    // each of the lines that come in while following.
    measureElement: (line, seen, all) => Math.round(seen?.borderBoxSize[0]?.blockSize ?? all.measurementsCache[all.indexFromElement(line)]?.size ?? rowHeight),
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= events.length - 40) more();
  }, [more, last, events.length]);
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  const go = (to: number) => {
    const i = Math.max(0, Math.min(events.length - 1, to));
    setActive(i);
    virtual.scrollToIndex(i, { align: "auto" });
  };
  useKeys([
    { keys: "j", label: parts("keyNext"), group: t("title"), run: () => go(active + 1) },
    { keys: "k", label: parts("keyPrevious"), group: t("title"), run: () => go(active - 1) },
    { keys: "Enter", label: t("openEvent"), group: t("title"), run: () => events[active] && toggle(events[active].id) },
    { keys: "o", label: t("openEvent"), group: t("title"), quiet: true, run: () => events[active] && toggle(events[active].id) },
  ]);
  return (
    <div ref={scroller} className={css.events} role="table" aria-label={words("events")} aria-rowcount={total + 1} tabIndex={0}>
      <div role="rowgroup" className={css.eventsHead}>
        <div role="row" className={css.eventRow} aria-rowindex={1}>
          <span role="columnheader">{words("time")}</span>
          <span role="columnheader">
            <span className="hidden">{words("severity")}</span>
          </span>
          <span role="columnheader">{words("host")}</span>
          <span role="columnheader">{words("source")}</span>
          <span role="columnheader">{t("message")}</span>
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map((item) => {
          const event = events[item.index]!;
          return (
            <div key={item.key} ref={virtual.measureElement} data-index={item.index} className={css.eventPlace} style={{ transform: `translateY(${item.start}px)` }}>
              <Row event={event} index={item.index} active={item.index === active} open={open.has(event.id)} onToggle={toggle} onActive={setActive} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

const Row = memo(
  function Row({ event, index, active, open, onToggle, onActive }: { event: StoredEvent; index: number; active: boolean; open: boolean; onToggle: (id: string) => void; onActive: (i: number) => void }) {
    const t = useText("search");
    const at = exact(event.timestamp);
    return (
      <>
        <div
          role="row"
          aria-rowindex={index + 2}
          className={css.eventRow}
          data-active={active || undefined}
          onClick={(e) => {
            if ((e.target as HTMLElement).closest("button") || window.getSelection()?.toString()) return;
            onActive(index);
            onToggle(event.id);
          }}
        >
          <span role="cell" className={css.eventTime} title={both(event.timestamp)}>
            <button type="button" className={css.eventOpen} aria-expanded={open} title={t("openEvent")} onClick={() => onToggle(event.id)}>
              <span className={css.date}>{at.slice(0, 11)}</span>
              {at.slice(11)}
            </button>
          </span>
          <span role="cell">
            <SeverityMark of={event.severity} />
          </span>
          <span role="cell" className={css.eventCell}>
            {event.host ? <Value field="host" value={event.host} /> : null}
          </span>
          <span role="cell" className={css.eventCell}>
            {event.source ? <Value field="source" value={event.source} /> : null}
          </span>
          <span role="cell" className={css.eventCell}>
            <Raw text={(event.message || String(event.fields.raw ?? "")).slice(0, 600)} />
          </span>
        </div>
        {open ? (
          <div role="row">
            <div role="cell">
              <EventFields event={event} />
            </div>
          </div>
        ) : null}
      </>
    );
  },
  (a, b) => a.event === b.event && a.index === b.index && a.active === b.active && a.open === b.open && a.onToggle === b.onToggle,
);
