import { useText } from "~/text/text";

import css from "./compliance.module.css";
import { statuses, type Status } from "./data";

/** How the controls of a framework stand: one bar, and the numbers in words for who cannot see it. */
export function Bar({ counts, words = false }: { counts: Partial<Record<Status, number>>; words?: boolean }) {
  const t = useText("compliance");
  const shown = statuses.filter((s) => (counts[s] ?? 0) > 0);
  return (
    <>
      <div className={css.bar} role="img" aria-label={shown.map((s) => `${t(`status.${s}`)}: ${counts[s]}`).join(", ")}>
        {shown.map((s) => (
          <span key={s} data-status={s} style={{ flexGrow: counts[s] }} title={`${t(`status.${s}`)}: ${counts[s]}`} />
        ))}
      </div>
      {words ? (
        <div className={css.legend}>
          {shown.map((s) => (
            <span key={s}>
              <i data-status={s} aria-hidden /> {t(`status.${s}`)} <b>{counts[s]}</b>
            </span>
          ))}
        </div>
      ) : null}
    </>
  );
}
