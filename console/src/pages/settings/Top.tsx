import type { ReactNode } from "react";

import css from "./settings.module.css";

/** What a part of the settings is for, and its one action. */
export function Top({ why, children }: { why: string; children?: ReactNode }) {
  return (
    <div className={css.top}>
      <p>{why}</p>
      {children}
    </div>
  );
}
