import { IconCheck, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";

import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { Raw } from "~/parts/Raw";
import { Empty, Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { exact } from "~/time/time";

import css from "./alerts.module.css";
import type { Alert } from "./data";

type Explained = Schema<"ExplainOutBody">;
type Trace = Schema<"Trace">;

/** Why the rule fires: each condition with what was wanted and what was there. */
export default function Explain({ alert }: { alert: Alert }) {
  const t = useText("alerts");
  const event = alert.events.at(-1);
  const q = useQuery({
    queryKey: ["explain", alert.rule.id, event?.id],
    enabled: event !== undefined,
    staleTime: Infinity,
    queryFn: ({ signal }) => send<Explained>({ method: "POST", url: "/api/v1/siem/rules/explain", body: { ruleId: alert.rule.id, eventId: event!.id } }, signal),
  });
  if (event === undefined) return <Empty title={t("explainNone")} />;
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return (
    <div className={css.tab}>
      <p className={css.lead}>
        <Raw text={q.data.reason} />
      </p>
      {(q.data.documents ?? []).map((d) => (
        <section key={d.id} className={css.document}>
          <h3>
            <Sign holds={d.matches} /> <Raw text={d.title} />
          </h3>
          <TraceTree trace={d.condition} />
        </section>
      ))}
      {(q.data.windows ?? []).map((w, i) => (
        <section key={i} className={css.document}>
          <h3>
            <Sign holds={w.fired} /> <Raw text={w.title} />
          </h3>
          <p>
            <Raw text={w.reason} />
          </p>
          <ol className={css.window}>
            {(w.events ?? []).slice(0, 50).map((e) => (
              <li key={e.id} data-this={e.this || undefined}>
                {exact(e.time)} <Raw text={e.rule} /> {e.value ? <Raw text={e.value} className="mono" /> : null}
              </li>
            ))}
          </ol>
        </section>
      ))}
    </div>
  );
}

function Sign({ holds }: { holds: boolean }) {
  const t = useText("alerts");
  return holds ? <IconCheck size={14} className={css.yes} aria-label={t("holds")} /> : <IconX size={14} className={css.no} aria-label={t("holdsNot")} />;
}

function TraceTree({ trace }: { trace: Trace }) {
  const t = useText("alerts");
  return (
    <div className={css.trace}>
      <div className={css.traceLine}>
        <Sign holds={trace.holds} />
        {trace.field ? (
          <span>
            <b className="mono">{[trace.field, ...(trace.modifiers ?? [])].join("|")}</b> <span className="dim">{t("wanted")}</span>{" "}
            {(trace.wanted ?? []).slice(0, 8).map((w, i) => (
              <span key={i} className={w.holds ? css.hit : css.miss}>
                <Raw text={w.null ? "null" : w.value} />
              </span>
            ))}{" "}
            <span className="dim">{t("actual")}</span> <Raw text={(trace.actual ?? []).join(", ") || "–"} className="mono" />
          </span>
        ) : (
          <span>
            <span className="mono">{trace.name ?? trace.kind}</span> {trace.text ? <Raw text={trace.text} className="mono" /> : null} {trace.reason ? <Raw text={trace.reason} className="dim" /> : null}
          </span>
        )}
      </div>
      {trace.parts?.map((p, i) => <TraceTree key={i} trace={p} />)}
    </div>
  );
}
