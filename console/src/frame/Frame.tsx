import { Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Suspense, useEffect, useState } from "react";

import { useSession } from "~/api/session";
import { useKeys } from "~/keys/keys";
import { pages } from "~/pages/registry";
import { Confirm } from "~/parts/Confirm";
import { Loading } from "~/parts/States";
import { Toasts, undoLast } from "~/parts/Toasts";
import { ValueMenu } from "~/parts/Value";
import { languages, setLanguage, useText, type Language } from "~/text/text";
import { setZone } from "~/time/time";

import { DemoBanner } from "./DemoBanner";
import css from "./frame.module.css";
import { KeyMap } from "./KeyMap";
import { Palette } from "./Palette";
import { Rail } from "./Rail";
import { TopBar } from "./TopBar";

/** What stands around every page: rail, bar, palette, keyboard map, notices. */
export function Frame() {
  const t = useText("frame");
  const session = useSession();
  const navigate = useNavigate();
  const [palette, setPalette] = useState(false);
  const [map, setMap] = useState(false);
  const [rail, setRail] = useState(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  useEffect(() => setRail(false), [path]);

  // What the person chose elsewhere holds here too, unless this browser was told otherwise.
  useEffect(() => {
    const { language, timeZone } = session.user;
    // An account begins with English and UTC: there the browser knows better.
    if (language !== "en" && language in languages && localStorage.getItem("kyra.language") === null) void setLanguage(language as Language);
    if (timeZone !== "UTC" && timeZone && localStorage.getItem("kyra.zone") === null) setZone(timeZone);
  }, [session.user]);

  const go = t("keysGo");
  useKeys([
    { keys: "mod+k", label: t("palette"), group: t("keysFrame"), inText: true, run: () => setPalette(true) },
    { keys: "?", label: t("keyMap"), group: t("keysFrame"), run: () => setMap(true) },
    { keys: "z", label: t("undoLast"), group: t("keysFrame"), run: () => void undoLast() },
    ...pages.flatMap((p) => (p.nav?.key ? [{ keys: `g ${p.nav.key}`, label: t(`nav.${p.id}` as "nav.alerts"), group: go, run: () => void navigate({ to: p.routes[0]!.path }) }] : [])),
  ]);

  return (
    <div className={css.frame}>
      <a href="#page" className={css.skip}>
        {t("skip")}
      </a>
      <Rail open={rail} onClose={() => setRail(false)} />
      <TopBar onPalette={() => setPalette(true)} onMap={() => setMap(true)} onRail={() => setRail(true)} />
      <main id="page" className={css.page} tabIndex={-1}>
        <Suspense fallback={null}>
          <DemoBanner />
        </Suspense>
        <ValueMenu>
          <Suspense fallback={<Loading />}>
            <Outlet />
          </Suspense>
        </ValueMenu>
      </main>
      <Palette opened={palette} onClose={() => setPalette(false)} />
      <KeyMap opened={map} onClose={() => setMap(false)} />
      <Confirm />
      <Toasts />
    </div>
  );
}
