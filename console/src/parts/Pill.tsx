import type { ReactNode } from "react";

import css from "./pill.module.css";

/** A neutral pill: the dot says how far something is, the word says what. */
export function Pill({ children, dot, title }: { children: ReactNode; dot?: "todo" | "doing" | "done" | "off" | "good" | "bad" | "warn"; title?: string }) {
  return (
    <span className={css.pill} title={title}>
      {dot ? <i className={css.dot} data-dot={dot} aria-hidden /> : null}
      {children}
    </span>
  );
}
