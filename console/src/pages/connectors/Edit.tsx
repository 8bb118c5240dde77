import { Button, Checkbox, NumberInput, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { Problem } from "~/api/problem";
import { send } from "~/api/send";
import { Dialog } from "~/parts/Dialog";
import { linesOf } from "~/parts/lines";
import { Pill } from "~/parts/Pill";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

type Row = Schema<"ConnectorItem">;
type Field = Schema<"ConnectorField">;
type Kind = Row["kind"];

/** The form of a kind is what the API says that the kind needs; it can be tried before it is kept. */
export function Edit({ of: row, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("connectors");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const kinds = useQuery({ queryKey: ["connectors", "kinds"], queryFn: ({ signal }) => send<{ kind: Kind; purpose: string; fields: Field[] }[]>({ method: "GET", url: "/api/v1/connectors/kinds" }, signal), staleTime: Infinity });
  const [kind, setKind] = useState<Kind>(row?.kind ?? "smtp");
  const [name, setName] = useState(row?.name ?? "");
  const [values, setValues] = useState<Record<string, unknown>>(row?.config ?? {});
  const [outcome, setOutcome] = useState<{ good: boolean; says: string }>();
  const now = kinds.data?.find((k) => k.kind === kind);
  const config = Object.fromEntries((now?.fields ?? []).map((f) => [f.name, f.type === "list" && typeof values[f.name] === "string" ? linesOf(values[f.name] as string) : values[f.name]]).filter(([, v]) => v !== undefined && v !== ""));
  const missing = (now?.fields ?? []).some((f) => f.required && config[f.name] === undefined && !(f.secret && row?.secrets.includes(f.name)));
  const set = (field: string, value: unknown) => setValues((v) => ({ ...v, [field]: value }));
  return (
    <Dialog
      wide
      title={row ? forms("change") : t("new")}
      action={row ? parts("save") : forms("create")}
      ready={name.trim() !== "" && now !== undefined && !missing}
      onClose={onClose}
      onSubmit={async () =>
        (await act({ call: row ? { method: "PATCH", url: `/api/v1/connectors/${row.id}`, body: { name: name.trim(), config } } : { method: "POST", url: "/api/v1/connectors", body: { kind, name: name.trim(), config } }, done: forms("saved"), renews: [["connectors"]] })) !== undefined
      }
    >
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Select
        label={t("kind")}
        description={now?.purpose}
        disabled={row !== undefined}
        value={kind}
        data={(kinds.data ?? []).map((k) => ({ value: k.kind, label: t(`kind.${k.kind}`) }))}
        onChange={(v) => {
          if (v === null) return;
          setKind(v as Kind);
          setValues({});
          setOutcome(undefined);
        }}
      />
      {(now?.fields ?? []).map((f) => (
        <Input key={kind + f.name} field={f} value={values[f.name]} kept={row?.secrets.includes(f.name) ?? false} onChange={(v) => set(f.name, v)} />
      ))}
      <div style={{ display: "flex", gap: 12, alignItems: "center" }}>
        <Button
          size="xs"
          variant="default"
          disabled={missing || now === undefined}
          onClick={() =>
            void send({ method: "POST", url: row ? `/api/v1/connectors/${row.id}/test` : "/api/v1/connectors/test", body: row ? undefined : { kind, config, name: name.trim() || undefined } })
              .then(() => setOutcome({ good: true, says: t("tested") }))
              .catch((error: unknown) => setOutcome({ good: false, says: error instanceof Problem ? `${error.title} ${error.remedy}` : String(error) }))
          }
        >
          {row ? t("testKept") : t("testBefore")}
        </Button>
        {outcome ? (
          <span role="status">
            <Pill dot={outcome.good ? "good" : "bad"}>{outcome.good ? t("health.ok") : t("health.failed")}</Pill> {visible(outcome.says)}
          </span>
        ) : null}
      </div>
    </Dialog>
  );
}

function Input({ field: f, value, kept, onChange }: { field: Field; value: unknown; kept: boolean; onChange: (v: unknown) => void }) {
  const t = useText("connectors");
  const common = { label: f.name, description: f.description, required: f.required && !kept };
  const standard = f.default === undefined || f.default === null ? "" : String(f.default);
  const text = value === undefined ? "" : String(value);
  if (f.secret) return <PasswordInput {...common} autoComplete="off" placeholder={kept ? t("secretKept") : ""} value={text} onChange={(e) => onChange(e.currentTarget.value === "" ? undefined : e.currentTarget.value)} />;
  if (f.type === "boolean") return <Checkbox label={f.name} description={f.description} checked={(value ?? f.default) === true} onChange={(e) => onChange(e.currentTarget.checked)} />;
  if (f.type === "number") return <NumberInput {...common} placeholder={standard} min={f.minimum ?? 0} {...(f.maximum === undefined ? {} : { max: f.maximum })} value={text} onChange={(v) => onChange(v === "" ? undefined : Number(v))} />;
  if (f.allowed?.length) return <Select {...common} value={text || standard || null} data={f.allowed} onChange={(v) => onChange(v ?? undefined)} />;
  if (f.type === "list") return <Textarea {...common} autosize minRows={1} maxRows={6} value={Array.isArray(value) ? value.join("\n") : text} onChange={(e) => onChange(e.currentTarget.value)} />;
  return <TextInput {...common} placeholder={standard} value={text} onChange={(e) => onChange(e.currentTarget.value)} />;
}
