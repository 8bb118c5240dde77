import { SegmentedControl, Select, Switch, TextInput, useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { useMemo, useState } from "react";

import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { useSession } from "~/api/session";
import { useSingleKeys } from "~/keys/keys";
import { Facts } from "~/parts/Facts";
import { toastFault } from "~/parts/Toasts";
import { languages, setLanguage, useLanguage, useText, type Language } from "~/text/text";
import { exact, setZone, useNow, useZone } from "~/time/time";

import css from "./settings.module.css";

/** How the console looks to this person: it takes effect at once, here and where they sign in next. */
export default function Profile() {
  const t = useText("settings");
  const frame = useText("frame");
  const forms = useText("forms");
  const parts = useText("parts");
  const { user, role, tenant } = useSession();
  const language = useLanguage();
  const zone = useZone();
  const now = useNow(1000);
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const [singles, setSingles] = useSingleKeys();
  const [name, setName] = useState(user.name);
  const zones = useMemo(() => [...new Set([zone, "UTC", ...Intl.supportedValuesOf("timeZone")])], [zone]);
  const keep = (change: Record<string, string>) =>
    void send({ method: "PATCH", url: "/api/v1/session/user", body: change })
      .then(() => queries.invalidateQueries({ queryKey: ["session"] }))
      .catch((error: unknown) => toastFault(parts("actFailed"), error));
  return (
    <div className={css.scroll}>
      <div className={css.form}>
        <Facts
          of={[
            [t("email"), user.email],
            [t("role"), t(`role.${role}`)],
            [frame("tenant"), tenant.name],
          ]}
        />
        <TextInput label={forms("name")} maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} onBlur={() => name.trim() !== "" && name !== user.name && keep({ name: name.trim() })} />
        <Select
          label={frame("language")}
          value={language}
          data={Object.entries(languages).map(([value, label]) => ({ value, label }))}
          onChange={(v) => {
            if (v === null) return;
            void setLanguage(v as Language);
            keep({ language: v });
          }}
        />
        <Select
          label={frame("timeZone")}
          description={t("zoneNow", { time: exact(now, zone) })}
          searchable
          limit={100}
          value={zone}
          data={zones}
          onChange={(v) => {
            if (v === null) return;
            setZone(v);
            keep({ timeZone: v });
          }}
        />
        <div>
          <h3 id="theme-label">{frame("theme")}</h3>
          <SegmentedControl
            mt={4}
            aria-labelledby="theme-label"
            transitionDuration={0}
            value={colorScheme}
            data={(["light", "dark", "auto"] as const).map((value) => ({ value, label: frame(`theme.${value}`) }))}
            onChange={(v) => {
              setColorScheme(v as MantineColorScheme);
              keep({ theme: v });
            }}
          />
        </div>
        <Switch checked={singles} onChange={(e) => setSingles(e.currentTarget.checked)} label={frame("singleKeys")} description={frame("singleKeysWhy")} />
      </div>
    </div>
  );
}
