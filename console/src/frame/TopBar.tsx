import { ActionIcon, Menu, TextInput, Tooltip, UnstyledButton } from "@mantine/core";
import { IconBell, IconCheck, IconKeyboard, IconMenu2, IconSearch } from "@tabler/icons-react";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";

import { useLive } from "~/api/changes";
import { useSession } from "~/api/session";
import { useSwitch } from "~/api/switch";
import { visible } from "~/parts/visible";
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
  const go = useSwitch();
  const [asked, setAsked] = useState("");
  if (tenants.length < 2) return null;
  const many = tenants.length > 8;
  const shown = tenants.filter((x) => visible(x.name).toLowerCase().includes(asked.trim().toLowerCase()));
  return (
    <Menu position="bottom-end" onClose={() => setAsked("")}>
      <Menu.Target>
        <UnstyledButton className={css.tenant} aria-label={`${t("tenant")}: ${visible(tenant.name)}`}>
          <div className={css.tenantName}>{visible(tenant.name)}</div>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown mah="70vh" style={{ overflowY: "auto" }}>
        <Menu.Item leftSection={<IconBell size={14} aria-hidden />} onClick={() => void router.navigate({ to: "/tenants" as "/" })}>
          {t("allTenants")}
        </Menu.Item>
        <Menu.Divider />
        {many ? <TextInput size="xs" m={4} aria-label={t("findTenant")} placeholder={t("findTenant")} value={asked} onChange={(e) => setAsked(e.currentTarget.value)} onKeyDown={(e) => e.key !== "Escape" && e.key !== "ArrowDown" && e.stopPropagation()} /> : null}
        {shown.map((one) => (
          <Menu.Item
            key={one.id}
            aria-current={one.id === tenant.id}
            leftSection={one.id === tenant.id ? <IconCheck size={14} aria-hidden /> : <span style={{ width: 14 }} />}
            rightSection={one.demo ? <span className={css.demoMark}>{t("demoMark")}</span> : null}
            onClick={() => void go(one.id)}
          >
            {visible(one.name)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
