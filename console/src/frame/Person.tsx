import { Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { IconLogout } from "@tabler/icons-react";
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
        <Menu.RadioGroup
          value={colorScheme}
          onChange={(one) => {
            setColorScheme(one as "auto");
            keepProfile({ theme: one });
          }}
        >
          {(["light", "dark", "auto"] as const).map((one) => (
            <Menu.RadioItem key={one} value={one}>
              {t(`theme.${one}`)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Label>{t("language")}</Menu.Label>
        <Menu.RadioGroup
          value={language}
          onChange={(one) => {
            void setLanguage(one as Language);
            keepProfile({ language: one });
          }}
        >
          {(Object.keys(languages) as Language[]).map((one) => (
            <Menu.RadioItem key={one} value={one} lang={one}>
              {languages[one]}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Label>{t("timeZone")}</Menu.Label>
        <Menu.RadioGroup
          value={zone}
          onChange={(one) => {
            setZone(one);
            keepProfile({ timeZone: one });
          }}
        >
          {zones.map((one) => (
            <Menu.RadioItem key={one} value={one}>
              {one}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
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
