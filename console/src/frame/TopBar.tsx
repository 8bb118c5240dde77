import { ActionIcon, Menu, Tooltip, UnstyledButton } from "@mantine/core";
import { IconKeyboard, IconMenu2, IconSearch } from "@tabler/icons-react";
import { useRouter } from "@tanstack/react-router";

import { useLive } from "~/api/changes";
import { switchTenant, useSession } from "~/api/session";
import { toastFault } from "~/parts/Toasts";
import { useText } from "~/text/text";
import { clock, exact, useNow, useZone } from "~/time/time";

import css from "./frame.module.css";
import { Notifications } from "./Notifications";
import { Person } from "./Person";

export function TopBar({ onPalette, onMap, onRail }: { onPalette: () => void; onMap: () => void; onRail: () => void }) {
  const t = useText("frame");
  return (
    <header className={css.bar}>
      <ActionIcon className={css.menu} variant="subtle" color="gray" aria-label={t("menu")} onClick={onRail}>
        <IconMenu2 size={18} />
      </ActionIcon>
      <div id="page-head" className={css.head} />
      <UnstyledButton className={css.find} onClick={onPalette}>
        <IconSearch size={14} aria-hidden />
        <span>{t("findAnything")}</span>
        <kbd>{/Mac/.test(navigator.platform) ? "⌘ K" : "Ctrl K"}</kbd>
      </UnstyledButton>
      <TenantSwitch />
      <LiveState />
      <Clock />
      <Tooltip label={`${t("keyMap")} (?)`}>
        <ActionIcon className={css.wide} variant="subtle" color="gray" aria-label={t("keyMap")} onClick={onMap}>
          <IconKeyboard size={18} stroke={1.6} />
        </ActionIcon>
      </Tooltip>
      <Notifications />
      <Person />
    </header>
  );
}

/** Whether what is shown renews itself. */
function LiveState() {
  const t = useText("frame");
  const live = useLive();
  return (
    <span className={css.live} data-live={live} role="status" title={t(`live.${live}Why`)}>
      <i aria-hidden />
      <span>{t(`live.${live}`)}</span>
    </span>
  );
}

function Clock() {
  const now = useNow(1000);
  const zone = useZone();
  return (
    <time className={css.clock} dateTime={new Date(now).toISOString()} title={`${exact(now)} ${zone}\n${exact(now, "UTC")} UTC`}>
      {clock(now, false)} <span className="dim">{zone === "UTC" ? "UTC" : zone.split("/").pop()!.replaceAll("_", " ")}</span>
    </time>
  );
}

/** Shown to who may see several tenants. */
function TenantSwitch() {
  const t = useText("frame");
  const { tenant, tenants } = useSession();
  const router = useRouter();
  if (tenants.length < 2) return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <UnstyledButton className={css.tenant} aria-label={t("tenant")}>
          {tenant.name}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        {tenants.map((one) => (
          <Menu.Item
            key={one.id}
            aria-current={one.id === tenant.id}
            onClick={() =>
              void switchTenant(one.id)
                .then(() => router.navigate({ to: "/" }))
                .then(() => router.invalidate())
                .catch((error: unknown) => toastFault(t("switchFailed"), error))
            }
          >
            {one.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
