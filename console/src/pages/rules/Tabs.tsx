import { Link } from "@tanstack/react-router";

import { useText } from "~/text/text";

import css from "./rules.module.css";

/** The rules, and what they cover. */
export function Tabs({ now }: { now: "list" | "coverage" | "one" }) {
  const t = useText("rules");
  return (
    <nav className={css.tabs} aria-label={t("title")}>
      <Link to={"/rules" as "/"} aria-current={now === "list" ? "page" : undefined} activeOptions={{ exact: true }}>
        {t("list")}
      </Link>
      <Link to={"/rules/coverage" as "/"} aria-current={now === "coverage" ? "page" : undefined}>
        {t("coverage")}
      </Link>
    </nav>
  );
}
