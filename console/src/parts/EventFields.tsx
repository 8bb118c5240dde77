import { UnstyledButton } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { memo, useState } from "react";

import type { Schema } from "~/api/client";
import { useText } from "~/text/text";
import { both, duration, exact, useZone } from "~/time/time";

import css from "./eventfields.module.css";
import { Raw } from "./Raw";
import { SeverityMark } from "./Severity";
import { Value } from "./Value";

export type StoredEvent = Schema<"StoredEvent">;

const early = ["message", "host", "user", "src_ip", "src_port", "dest_ip", "dest_port", "program", "action", "outcome"];
const late = ["raw", "ingest_time"];

/** The fields of an event, what matters first; each value is a handle. */
export const EventFields = memo(function EventFields({ event }: { event: StoredEvent }) {
  const t = useText("parts");
  const fields = Object.entries(event.fields as Record<string, string | string[]>).filter(([name]) => !late.includes(name));
  const rank = (name: string) => (early.includes(name) ? early.indexOf(name) : early.length);
  fields.sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
  const raw = event.fields.raw;
  const arrived = event.fields.ingest_time;
  const later = typeof arrived === "string" ? (Date.parse(arrived) - Date.parse(event.timestamp)) / 1000 : 0;
  return (
    <div className={css.event}>
      <dl className={css.fields}>
        {fields.map(([name, value]) => (
          <div key={name} className={css.field}>
            <dt>{name}</dt>
            <dd>
              {(Array.isArray(value) ? value : [value]).map((v, i) => (
                <span key={i} className={css.one}>
                  <Value field={name} value={String(v)} />
                </span>
              ))}
            </dd>
          </div>
        ))}
        {typeof arrived === "string" ? (
          <div className={css.field}>
            <dt>{t("arrived")}</dt>
            <dd title={both(arrived)}>
              {exact(arrived)} {later >= 1 ? <span className="dim">({t("later", { time: duration(later) })})</span> : null}
            </dd>
          </div>
        ) : null}
      </dl>
      {typeof raw === "string" ? (
        <>
          <h3 className={css.rawHead}>{t("asReceived")}</h3>
          <pre className={css.raw}>
            <Raw text={raw} />
          </pre>
        </>
      ) : null}
    </div>
  );
});

/** One event as a line that opens. */
export function EventLine({ event, open: given = false }: { event: StoredEvent; open?: boolean }) {
  const [open, setOpen] = useState(given);
  useZone();
  return (
    <div className={css.line} data-open={open || undefined}>
      <UnstyledButton className={css.head} aria-expanded={open} onClick={() => setOpen(!open)}>
        <IconChevronRight size={14} className={css.arrow} aria-hidden />
        <SeverityMark of={event.severity} />
        <time dateTime={event.timestamp} title={both(event.timestamp)} className={css.time}>
          {exact(event.timestamp)}
        </time>
        <Raw text={event.message || String(event.fields.raw ?? "")} className={css.message} />
      </UnstyledButton>
      {open ? <EventFields event={event} /> : null}
    </div>
  );
}
