import { IconArrowDown, IconExternalLink } from "@tabler/icons-react";

import type { Schema } from "~/api/client";
import { Pill } from "~/parts/Pill";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import type { Detail } from "./data";
import css from "./playbooks.module.css";

const would = { run: "good", skip: "off", fail: "bad", depends: "todo" } as const;

/** Steps run one after the other: what begins it, then each with its condition and what it is given. */
export function Graph({ playbook: p, trial }: { playbook: Detail; trial: Schema<"PlaybookTrialOutBody"> | undefined }) {
  const t = useText("playbooks");
  return (
    <ol className={css.graph} aria-label={t("view.graph")}>
      <li>
        <div className={css.node} data-kind="trigger">
          <b>{t(`trigger.${p.trigger.event}`)}</b>
          {p.condition ? <span className="mono dim">{visible(p.condition)}</span> : null}
        </div>
      </li>
      {p.steps.map((s) => {
        const tried = trial?.steps.find((x) => x.id === s.id);
        const outside = p.outsideSteps.includes(s.id);
        return (
          <li key={s.id}>
            <span className={css.edge}>
              <IconArrowDown size={16} aria-hidden />
              {s.when ? (
                <span>
                  {t("when")} <code>{visible(s.when)}</code>
                </span>
              ) : null}
            </span>
            <div className={css.node} data-outside={outside || undefined} data-skipped={tried?.would === "skip" || undefined}>
              <div className={css.nodeHead}>
                <b>{visible(s.id)}</b>
                <span className="dim">{t(`action.${s.action}`)}</span>
                {outside ? (
                  <span className={css.leaves}>
                    <IconExternalLink size={14} aria-hidden /> {t("leaves")}
                  </span>
                ) : null}
                {s.onError === "continue" ? <span className="dim">{t("goesOn")}</span> : null}
                {s.retries > 0 ? <span className="dim">{t("retries", { n: s.retries })}</span> : null}
                {tried ? <Pill dot={would[tried.would]}>{t(`would.${tried.would}`)}</Pill> : null}
              </div>
              {tried?.why ? <div className="dim">{visible(tried.why)}</div> : null}
              <Given of={tried?.input ?? s.with} />
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function Given({ of: given }: { of: unknown }) {
  if (typeof given !== "object" || given === null) return null;
  return (
    <dl className={css.given}>
      {Object.entries(given).map(([k, v]) => (
        <div key={k}>
          <dt>{k}</dt>
          <dd>{visible(typeof v === "string" ? v : JSON.stringify(v))}</dd>
        </div>
      ))}
    </dl>
  );
}
