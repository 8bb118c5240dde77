import { Link, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef } from "react";

import { useSession } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { Loading } from "~/parts/States";
import { useText } from "~/text/text";

import css from "./settings.module.css";

const sections = [
  { id: "profile", right: "", show: lazy(() => import("./Profile")) },
  { id: "security", right: "", show: lazy(() => import("./Security")) },
  { id: "team", right: "users:read", show: lazy(() => import("./Team")) },
  { id: "sso", right: "settings:read", show: lazy(() => import("./SingleSignOn")) },
  { id: "keys", right: "keys:read", show: lazy(() => import("./Keys")) },
  { id: "webhooks", right: "webhooks:read", show: lazy(() => import("./Webhooks")) },
  { id: "ingest", right: "keys:read", show: lazy(() => import("./Ingest")) },
  { id: "masking", right: "sources:read", show: lazy(() => import("./Masking")) },
  { id: "notifications", right: "inbox:read", show: lazy(() => import("../notifications/Preferences")) },
  { id: "compliance", right: "compliance:read", show: lazy(() => import("./Compliance")) },
  { id: "retention", right: "tenant:read", show: lazy(() => import("./Retention")) },
  { id: "plan", right: "tenant:read", show: lazy(() => import("./Plan")) },
  { id: "demo", right: "settings:read", show: lazy(() => import("./Demo")) },
] as const;

/** What a person sets for themselves, and an Admin for all: each part has an address. */
export default function Settings() {
  const t = useText("settings");
  const { rights } = useSession();
  const { section } = useParams({ strict: false }) as { section?: string };
  const shown = sections.filter((s) => s.right === "" || rights.includes(s.right));
  const now = shown.find((s) => s.id === section) ?? shown[0]!;
  const Show = now.show;
  const bar = useRef<HTMLElement>(null);
  // On a phone they stand in a row that is longer than the screen.
  useEffect(() => {
    bar.current?.querySelector('[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [now.id]);
  return (
    <>
      <PageHead title={t("title")} />
      <div className={css.frame}>
        <nav ref={bar} className={css.sections} aria-label={t("title")}>
          {shown.map((s) => (
            <Link key={s.id} to={`/settings/${s.id}` as "/"} aria-current={s.id === now.id ? "page" : undefined}>
              {t(`section.${s.id}`)}
            </Link>
          ))}
        </nav>
        <div className={css.section}>
          <Suspense fallback={<Loading rows={5} />}>
            <Show />
          </Suspense>
        </div>
      </div>
    </>
  );
}
