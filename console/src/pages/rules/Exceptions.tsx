import { Button, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { Dialog } from "~/parts/Dialog";
import { Rows } from "~/parts/Facts";
import { linesOf } from "~/parts/lines";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Empty, Failed, Loading } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

/** What the rule leaves out, why, for how long, and how often that was used. */
export function Exceptions({ rule }: { rule: string }) {
  const t = useText("rules");
  const forms = useText("forms");
  const language = useLanguage();
  const may = useMay("rules:write");
  const act = useAct();
  const [making, setMaking] = useState(false);
  const q = useQuery({ queryKey: ["rules", rule, "exceptions"], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}/exceptions", { params: { path: { id: rule }, query: { size: 100 } }, signal })) });
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const create = may ? (
    <Button size="xs" onClick={() => setMaking(true)}>
      {t("exceptionNew")}
    </Button>
  ) : null;
  const dialog = making ? <New rule={rule} onClose={() => setMaking(false)} /> : null;
  if (q.data.content.length === 0)
    return (
      <>
        <Empty title={t("exceptionsNone")} action={create}>
          {t("exceptionsWhy")}
        </Empty>
        {dialog}
      </>
    );
  return (
    <>
    <div>{create}</div>
    {dialog}
    <Rows
      label={t("tab.exceptions")}
      head={[t("leaves"), t("because"), t("state"), t("used"), forms("expires"), ""]}
      rows={q.data.content.map((x) => ({
        key: x.id,
        cells: [
          <Raw key="s" className="mono" text={x.scope.filter ?? (x.scope.entity ? `${x.scope.entity.field ?? x.scope.entity.type ?? ""}: ${x.scope.entity.value}` : Object.entries(x.scope.fields ?? {}).map(([k, v]) => `${k}: ${(v ?? []).join(", ")}`).join("; "))} />,
          <Raw key="r" text={x.reason} />,
          <Pill key="p" dot={x.state === "active" ? "good" : "off"}>{t(`exception.${x.state}`)}</Pill>,
          x.hits.toLocaleString(language),
          x.expiresAt ? <Time key="t" at={x.expiresAt} /> : forms("never"),
          may ? (
            <Button
              key="b"
              size="compact-xs"
              variant="default"
              onClick={() => void act({ call: { method: "DELETE", url: `/api/v1/siem/exceptions/${x.id}` }, ...(x.state === "active" ? { undo: { method: "POST" as const, url: `/api/v1/siem/rules/${rule}/exceptions`, body: { reason: x.reason, owner: x.owner, scope: x.scope, ...(x.expiresAt ? { expiresAt: x.expiresAt } : {}) } } } : {}), done: t("removed"), renews: [["rules"]] })}
            >
              {forms("remove")}
            </Button>
          ) : null,
        ],
      }))}
    />
    </>
  );
}

/** Leaves out what has a value in a field; shows how many alerts that would have silenced. */
function New({ rule, onClose }: { rule: string; onClose: () => void }) {
  const t = useText("rules");
  const forms = useText("forms");
  const act = useAct();
  const [field, setField] = useState("");
  const [values, setValues] = useState("");
  const [reason, setReason] = useState("");
  const [days, setDays] = useState("90");
  const scope = { fields: { [field.trim()]: linesOf(values) } };
  const named = field.trim() !== "" && linesOf(values).length > 0;
  const preview = useQuery({
    queryKey: ["rules", rule, "preview", scope],
    enabled: false,
    queryFn: ({ signal }) => send<Schema<"PreviewOutBody">>({ method: "POST", url: `/api/v1/siem/rules/${rule}/exceptions/preview`, body: { scope } }, signal),
  });
  return (
    <Dialog
      title={t("exceptionNew")}
      action={forms("create")}
      ready={named && reason.trim() !== ""}
      onClose={onClose}
      onSubmit={async () =>
        (await act({
          call: { method: "POST", url: `/api/v1/siem/rules/${rule}/exceptions`, body: { reason: reason.trim(), scope, ...(days === "never" ? {} : { expiresAt: new Date(Date.now() + Number(days) * 86_400_000).toISOString() }) } },
          done: forms("saved"),
          renews: [["rules"]],
        })) !== undefined
      }
    >
      <TextInput label={t("field")} required placeholder="src_ip" value={field} onChange={(e) => setField(e.currentTarget.value)} data-autofocus />
      <Textarea label={t("values")} description={forms("linesWhy")} required autosize minRows={1} maxRows={6} value={values} onChange={(e) => setValues(e.currentTarget.value)} />
      <TextInput label={t("because")} required maxLength={500} value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
      <Select label={forms("expires")} allowDeselect={false} value={days} onChange={(v) => setDays(v ?? "90")} data={(["30", "90", "365", "never"] as const).map((v) => ({ value: v, label: forms(`expiry.${v}`) }))} />
      <div style={{ display: "flex", gap: 12, alignItems: "center" }}>
        <Button size="xs" variant="default" style={{ flex: "none" }} disabled={!named} onClick={() => void preview.refetch()}>
          {t("preview")}
        </Button>
        {preview.error ? <Failed error={preview.error} /> : null}
        {preview.data ? <span role="status">{t("previewSays", { hidden: preview.data.hidden, reduced: preview.data.reduced, n: preview.data.examined })}</span> : null}
      </div>
    </Dialog>
  );
}
