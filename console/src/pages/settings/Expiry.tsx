import { Select } from "@mantine/core";

import { useText } from "~/text/text";

/** In how many days something ends; "never" for not at all. */
export function Expiry({ value, onChange }: { value: string; onChange: (v: string) => void }) {
  const t = useText("forms");
  return <Select label={t("expires")} value={value} onChange={(v) => v && onChange(v)} data={(["never", "30", "90", "365"] as const).map((v) => ({ value: v, label: t(`expiry.${v}`) }))} />;
}

export function endOf(expiry: string): { expiresAt?: string } {
  return expiry === "never" ? {} : { expiresAt: new Date(Date.now() + Number(expiry) * 86_400_000).toISOString() };
}
