import { Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { IconCheck, IconLanguage, IconLogout, IconMoon, IconSun, IconSunMoon, IconWorld } from "@tabler/icons-react";
import { useRouter } from "@tanstack/react-router";

import { keepProfile, signOut, useSession } from "~/api/session";
import { toastFault } from "~/parts/Toasts";
import { languages, setLanguage, useLanguage, useText, type Language } from "~/text/text";
import { browserZone, setZone, useZone } from "~/time/time";

import css from "./frame.module.css";

/** Who is signed in, and what they set for themselves. */
export function Person() {
  const t = useText("frame");
  const { user, role, tenant } = useSession();
  const language = useLanguage();
  const zone = useZone();
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const router = useRouter();
  const name = user.name || user.email;
  const zones = [...new Set([browserZone(), user.timeZone || "UTC", "UTC"])];
  const tick = (on: boolean) => (on ? <IconCheck size={14} aria-hidden /> : null);
  const themes = [["light", IconSun], ["dark", IconMoon], ["auto", IconSunMoon]] as const;
  return (
    <Menu position="bottom-end" width={240} closeOnItemClick={false}>
      <Menu.Target>
        <UnstyledButton className={css.person} aria-label={t("person", { name })}>
          {[...name][0]?.toUpperCase()}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <div className={css.who}>
          <b>{name}</b>
          <span className="dim">
            {role} · {tenant.name}
          </span>
        </div>
        <Menu.Divider />
        <Menu.Label>{t("theme")}</Menu.Label>
        {themes.map(([one, Icon]) => (
          <Menu.Item key={one} role="menuitemradio" aria-checked={colorScheme === one} leftSection={<Icon size={14} aria-hidden />} rightSection={tick(colorScheme === one)} onClick={() => {
              setColorScheme(one);
              keepProfile({ theme: one });
            }}>
            {t(`theme.${one}`)}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Label>{t("language")}</Menu.Label>
        {(Object.keys(languages) as Language[]).map((one) => (
          <Menu.Item key={one} lang={one} role="menuitemradio" aria-checked={language === one} leftSection={<IconLanguage size={14} aria-hidden />} rightSection={tick(language === one)} onClick={() => {
              void setLanguage(one);
              keepProfile({ language: one });
            }}>
            {languages[one]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Label>{t("timeZone")}</Menu.Label>
        {zones.map((one) => (
          <Menu.Item key={one} role="menuitemradio" aria-checked={zone === one} leftSection={<IconWorld size={14} aria-hidden />} rightSection={tick(zone === one)} onClick={() => {
              setZone(one);
              keepProfile({ timeZone: one });
            }}>
            {one}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={14} aria-hidden />}
          onClick={() =>
            void signOut()
              .then(() => router.navigate({ to: "/signin" as never }))
              .catch((error: unknown) => toastFault(t("signOutFailed"), error))
          }
        >
          {t("signOut")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
