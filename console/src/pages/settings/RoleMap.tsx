import { ActionIcon, Button, Select, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";

import type { Schema } from "~/api/client";
import { useText } from "~/text/text";

import css from "./sso.module.css";

export type Mapping = Schema<"RoleMapping">;
export const roles = ["Admin", "Analyst", "Viewer", "Auditor"] as const;

/** Which group gives which role, one row for each. */
export function RoleMap({ of, value, onChange }: { of: string; value: Mapping[]; onChange: (next: Mapping[]) => void }) {
  const t = useText("access");
  const settings = useText("settings");
  const forms = useText("forms");
  const put = (i: number, change: Partial<Mapping>) => onChange(value.map((m, j) => (j === i ? { ...m, ...change } : m)));
  return (
    <fieldset className={css.map}>
      <legend>{t("mapping")}</legend>
      <p className="dim">{t("mappingWhy")}</p>
      {value.map((m, i) => (
        <div key={i} className={css.row}>
          <TextInput aria-label={`${of} ${i + 1}`} placeholder={of} required value={m.value} onChange={(e) => put(i, { value: e.currentTarget.value })} />
          <Select aria-label={`${settings("role")} ${i + 1}`} allowDeselect={false} value={m.role} data={roles.map((r) => ({ value: r, label: settings(`role.${r}`) }))} onChange={(v) => v && put(i, { role: v as Mapping["role"] })} />
          <ActionIcon variant="subtle" color="gray" aria-label={`${forms("remove")} ${m.value || i + 1}`} onClick={() => onChange(value.filter((_, j) => j !== i))}>
            <IconTrash size={16} aria-hidden />
          </ActionIcon>
        </div>
      ))}
      <div>
        <Button size="xs" variant="default" onClick={() => onChange([...value, { value: "", role: "Analyst" }])}>
          {t("addMapping")}
        </Button>
      </div>
    </fieldset>
  );
}

/** The role of those whom no row is about; "" for none. */
export function DefaultRole({ value, none, onChange }: { value: string; none: string; onChange: (v: string) => void }) {
  const t = useText("access");
  const settings = useText("settings");
  return <Select label={t("otherwise")} allowDeselect={false} value={value || "none"} data={[{ value: "none", label: none }, ...roles.map((r) => ({ value: r as string, label: settings(`role.${r}`) }))]} onChange={(v) => v && onChange(v === "none" ? "" : v)} />;
}
