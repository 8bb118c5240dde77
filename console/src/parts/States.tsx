import { Button } from "@mantine/core";
import { useEffect, useState, type ReactNode } from "react";

import { Problem } from "~/api/problem";
import { useText } from "~/text/text";

import { copy } from "./copy";
import css from "./states.module.css";

/** Stands in for what loads, after 150 ms: what comes sooner does not flicker. */
export function Loading({ rows = 6 }: { rows?: number }) {
  const t = useText("parts");
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className={css.loading} role="status" aria-label={t("loading")}>
      {late ? Array.from({ length: rows }, (_, i) => <div key={i} className={css.bone} />) : null}
    </div>
  );
}

/** What this place is for, what feeds it, and the one next step. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={css.state}>
      <h2>{title}</h2>
      {children ? <div className={css.why}>{children}</div> : null}
      {action}
    </div>
  );
}

/** What failed, the request's id, try again, and the call as curl. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useText("parts");
  const p = error instanceof Problem ? error : undefined;
  const title = p === undefined ? t("broke") : p.status === 0 ? t("unreachable") : p.status === 403 ? t("notAllowed") : p.status === 404 ? t("notFound") : p.title;
  const why = p === undefined ? String(error) : p.status === 0 ? t("unreachableWhy") : p.status === 403 ? t("notAllowedWhy") : p.status === 404 ? t("notFoundWhy") : p.remedy;
  return (
    <div className={css.state} role="alert">
      <h2>{title}</h2>
      <div className={css.why}>{why}</div>
      {p?.requestId ? (
        <div className="dim mono">
          {t("request")} {p.requestId}
        </div>
      ) : null}
      <div className={css.acts}>
        {retry ? (
          <Button size="xs" variant="default" onClick={retry}>
            {t("tryAgain")}
          </Button>
        ) : null}
        {p?.curl ? (
          <Button size="xs" variant="subtle" onClick={() => copy(p.curl)}>
            {t("copyCurl")}
          </Button>
        ) : null}
      </div>
    </div>
  );
}

/** Says why what is shown is not the whole: it stands above it. */
export function Partial({ children }: { children: ReactNode }) {
  return (
    <div className={css.partial} role="note">
      {children}
    </div>
  );
}
