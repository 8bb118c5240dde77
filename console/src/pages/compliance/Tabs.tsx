import { Link } from "@tanstack/react-router";

import { useText } from "~/text/text";

import css from "./compliance.module.css";

/** Frameworks, and what they rest on. */
export function Tabs({ now }: { now: "frameworks" | "evidence" }) {
  const t = useText("compliance");
  return (
    <nav className={css.tabs} aria-label={t("title")}>
      <Link to={"/compliance" as "/"} activeOptions={{ exact: true }} aria-current={now === "frameworks" ? "page" : undefined}>
        {t("frameworks")}
      </Link>
      <Link to={"/compliance/evidence" as "/"} aria-current={now === "evidence" ? "page" : undefined}>
        {t("evidence")}
      </Link>
    </nav>
  );
}
