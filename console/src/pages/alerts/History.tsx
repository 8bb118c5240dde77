import { Link } from "@tanstack/react-router";

import { Raw } from "~/parts/Raw";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./alerts.module.css";
import type { Alert } from "./data";

export default function History({ alert }: { alert: Alert }) {
  return (
    <div className={css.tab}>
      <Changes alert={alert} />
    </div>
  );
}

/** What was done with the alert, the newest first. */
export function Changes({ alert, most = Infinity }: { alert: Alert; most?: number }) {
  const t = useText("alerts");
  const words = useText("words");
  const known: Record<string, string> = { created: t("history.created"), status: t("history.status"), assignedTo: t("history.assigned"), verdict: t("history.verdict"), note: t("history.note"), incident: t("history.incident") };
  const word = (action: string, value: string | undefined) => {
    if (!value) return "–";
    if (action === "status" || action === "created") return words(`alert.${value as "OPEN"}`);
    if (action === "verdict") return words(`verdict.${value as "BENIGN"}`);
    return value;
  };
  return (
    <ol className={css.history}>
      {[...alert.history].reverse().slice(0, most).map((h, i) => (
        <li key={i}>
          <Time at={h.at} className="dim" />
          <div>
            <Raw text={h.actor} className={css.actor} /> {known[h.action] ?? h.action}{" "}
            {h.action === "incident" && h.to ? (
              <Link to={`/incidents/${h.to}`}>{t("openIncident")}</Link>
            ) : h.from || h.to ? (
              <span>
                {h.from ? (
                  <>
                    <span className="dim">
                      <Raw text={word(h.action, h.from)} /> →
                    </span>{" "}
                  </>
                ) : null}
                <Raw text={word(h.action, h.to)} />
              </span>
            ) : null}
            {h.note ? (
              <p className={css.note}>
                <Raw text={h.note} />
              </p>
            ) : null}
          </div>
        </li>
      ))}
    </ol>
  );
}
