import { Button, Group, Select, TextInput } from "@mantine/core";

import { useText } from "~/text/text";

export type Identifier = { type: "email" | "user" | "ip" | "phone" | "other"; value: string };
const types = ["email", "user", "ip", "phone", "other"] as const;

/** What a person is found by: several, each of a kind. */
export function Identifiers({ value, onChange }: { value: Identifier[]; onChange: (v: Identifier[]) => void }) {
  const t = useText("privacy");
  const forms = useText("forms");
  const set = (at: number, change: Partial<Identifier>) => onChange(value.map((x, i) => (i === at ? { ...x, ...change } : x)));
  return (
    <div role="group" aria-label={t("identifiers")} style={{ display: "flex", flexDirection: "column", gap: 8 }}>
      <h3>{t("identifiers")}</h3>
      {value.map((x, i) => (
        <Group key={i} gap="xs" wrap="nowrap">
          <Select aria-label={t("kind")} style={{ width: 140 }} value={x.type} onChange={(v) => v && set(i, { type: v as Identifier["type"] })} data={types.map((k) => ({ value: k, label: t(`type.${k}`) }))} />
          <TextInput aria-label={t("value")} style={{ flex: 1 }} value={x.value} onChange={(e) => set(i, { value: e.currentTarget.value })} />
          {value.length > 1 ? (
            <Button variant="subtle" color="gray" size="xs" onClick={() => onChange(value.filter((_, j) => j !== i))}>
              {forms("remove")}
            </Button>
          ) : null}
        </Group>
      ))}
      <div>
        <Button variant="default" size="compact-xs" onClick={() => onChange([...value, { type: "email", value: "" }])}>
          {t("addIdentifier")}
        </Button>
      </div>
    </div>
  );
}
