import { Raw } from "~/parts/Raw";
import { useText } from "~/text/text";
import { clock, exact, useZone } from "~/time/time";

import type { Incident, Status } from "./data";
import css from "./incidents.module.css";

// An id tells a person nothing: what was linked or said stands elsewhere on the page.
const id = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** What was done in the case, the newest first, day by day. */
export function Timeline({ incident }: { incident: Incident }) {
  const t = useText("incidents");
  const words = useText("words");
  useZone();
  const known = ["created", "status", "assignedTo", "severity", "title", "commented", "linked", "unlinked", "task", "evidence", "evidenceRemoved", "merged", "mergedInto", "unmerged", "split", "splitFrom", "overdue", "grouped"] as const;
  const name = (action: string) => ((known as readonly string[]).includes(action) ? t(`did.${action as (typeof known)[number]}`) : action);
  const word = (action: string, v: string) => (action === "status" || action === "created" ? words(`incident.${v as Status}`) : action === "task" && /^[A-Z]+$/.test(v) ? words(`task.${v as "TODO"}`) : v);
  const steps = [...incident.timeline].reverse();
  return (
    <ol className={css.timeline}>
      {steps.map((s, i) => {
        const day = exact(s.at).slice(0, 10);
        const before = steps[i - 1];
        return (
          <li key={i}>
            {before === undefined || exact(before.at).slice(0, 10) !== day ? <div className={css.day}>{day}</div> : null}
            <div className={css.stepLine}>
              <time dateTime={s.at} title={exact(s.at)} className="dim">
                {clock(s.at, false)}
              </time>
              <span>
                <b>
                  <Raw text={s.actor} />
                </b>{" "}
                {name(s.action)} {s.from && !id.test(s.from) ? <span className="dim"><Raw text={word(s.action, s.from)} /> → </span> : null}
                {s.to && !id.test(s.to) ? <Raw text={word(s.action, s.to)} /> : null}
                {s.note ? (
                  <span className={css.stepNote}>
                    <Raw text={s.note} />
                  </span>
                ) : null}
              </span>
            </div>
          </li>
        );
      })}
    </ol>
  );
}
