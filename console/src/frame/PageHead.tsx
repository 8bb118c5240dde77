import { useEffect, useState, type ReactNode } from "react";
import { createPortal } from "react-dom";

import css from "./frame.module.css";

/** A page's title and its own controls, drawn into the bar at the top. */
export function PageHead({ title, children }: { title: string; children?: ReactNode }) {
  const [slot, setSlot] = useState<HTMLElement | null>(null);
  useEffect(() => setSlot(document.getElementById("page-head")), []);
  useEffect(() => {
    document.title = `${title} · KYRA`;
  }, [title]);
  if (slot === null) return null;
  return createPortal(
    <>
      <h1>{title}</h1>
      {children ? <div className={css.controls}>{children}</div> : null}
    </>,
    slot,
  );
}
