import { ActionIcon } from "@mantine/core";
import { IconChevronsLeft, IconChevronsRight } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";

import { useSession } from "~/api/session";
import { groups } from "~/pages/page";
import { pages } from "~/pages/registry";
import { useText } from "~/text/text";
import { useStored } from "~/url/stored";

import css from "./frame.module.css";

/** The pages, in groups. It folds to icons; on a phone it slides in. */
export function Rail({ open, onClose }: { open: boolean; onClose: () => void }) {
  const t = useText("frame");
  const { rights } = useSession();
  const [folded, setFolded] = useStored("railFolded", false);
  const shown = pages.filter((p) => p.nav && (p.nav.right === undefined || rights.includes(p.nav.right)));
  return (
    <>
      {open ? <button type="button" className={css.shade} aria-label={t("closeMenu")} onClick={onClose} /> : null}
      <nav className={css.rail} data-folded={folded || undefined} data-open={open || undefined} aria-label={t("pages")}>
        <Link to="/" className={css.brand}>
          <img src="/icon.svg" width="22" height="22" alt="" />
          <span className={css.name}>KYRA</span>
        </Link>
        <div className={css.links}>
          {groups.map((g) => {
            const those = shown.filter((p) => p.nav!.group === g);
            if (those.length === 0) return null;
            return (
              <div key={g} className={css.group}>
                {g === "work" ? null : <h2 className={css.groupName}>{t(`group.${g}`)}</h2>}
                {those.map((p) => {
                  const label = t(`nav.${p.id}` as "nav.alerts");
                  const Icon = p.nav!.icon;
                  return (
                    <Link key={p.id} to={p.routes[0]!.path} activeOptions={{ exact: p.routes[0]!.path === "/", includeSearch: false }} className={css.link} title={folded ? label : undefined}>
                      <Icon size={16} stroke={1.6} aria-hidden />
                      <span className={css.name}>{label}</span>
                    </Link>
                  );
                })}
              </div>
            );
          })}
        </div>
        <ActionIcon className={css.fold} variant="subtle" color="gray" aria-label={folded ? t("unfold") : t("fold")} aria-expanded={!folded} onClick={() => setFolded(!folded)}>
          {folded ? <IconChevronsRight size={16} /> : <IconChevronsLeft size={16} />}
        </ActionIcon>
      </nav>
    </>
  );
}
