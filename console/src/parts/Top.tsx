import type { ReactNode } from "react";

import css from "./top.module.css";

/** What a part of a page is for or how it stands, and its one action. */
export function Top({ why, status, children }: { why: ReactNode; status?: boolean; children?: ReactNode }) {
  return (
    <div className={css.top} role={status ? "status" : undefined}>
      <p>{why}</p>
      {children}
    </div>
  );
}
