import { Button, NumberInput, Select, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay, useSession } from "~/api/session";
import { useSwitch } from "~/api/switch";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Facts } from "~/parts/Facts";
import { Listing } from "~/parts/Listing";
import { Raw } from "~/parts/Raw";
import { visible } from "~/parts/visible";
import { Top } from "~/parts/Top";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";


type Row = Schema<"TenantItem">;
const plans = ["FREE", "MDR", "PRO", "CUSTOM"] as const;

/** The tenants of an installation, for whoever runs it. */
export default function List() {
  const t = useText("tenants");
  const forms = useText("forms");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("provider:write");
  const go = useSwitch();
  const { tenant, tenants } = useSession();
  const [editing, setEditing] = useState<Row | "new">();
  const list = usePages<Row>({ key: ["tenants"], load: (page, signal) => answer(client.GET("/api/v1/tenants", { params: { query: { size: 100, page } }, signal })) });
  const limit = (n: number) => (n === 0 ? t("noLimit") : n.toLocaleString(language));
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: t("name"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "plan", header: t("plan"), width: "96px", cell: (r) => r.plan },
      { id: "requests", header: t("requests"), width: "140px", align: "right", from: 640, cell: (r) => limit(r.limits.requestsPerMinute) },
      { id: "rate", header: t("rate"), width: "120px", align: "right", from: 760, cell: (r) => limit(r.limits.eventsPerSecond) },
      { id: "retention", header: t("retention"), width: "104px", align: "right", from: 560, cell: (r) => t("days", { n: r.retentionDays }) },
      { id: "at", header: words("created"), width: "104px", align: "right", from: 860, cell: (r) => <Time at={r.createdAt} className="dim" /> },
    ],
    [t, words, language],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("newTenant")}
    </Button>
  ) : null;
  return (
    <>
      <Top why={t("tenantsWhy")}>{create}</Top>
      <Listing
        label={t("tab.tenants")}
        list={list}
        columns={columns}
        empty={{ title: t("noTenants"), why: t("tenantsWhy"), action: create }}
        panelActions={(id, r) => (
          <>
            {tenants.some((x) => x.id === id) ? (
              <Button size="compact-xs" disabled={id === tenant.id} onClick={() => void go(id)}>
                {id === tenant.id ? t("now") : t("switchTo")}
              </Button>
            ) : null}
            {r && may ? (
              <Button size="compact-xs" variant="default" onClick={() => setEditing(r)}>
                {forms("change")}
              </Button>
            ) : null}
          </>
        )}
        panel={(_, r) =>
          r ? (
            <section>
              <h2>
                <Raw text={r.name} />
              </h2>
              <br />
              <Facts of={[[t("plan"), r.plan], [t("requests"), limit(r.limits.requestsPerMinute)], [t("rate"), limit(r.limits.eventsPerSecond)], [t("retention"), t("days", { n: r.retentionDays })], [words("created"), <Time at={r.createdAt} />]]} />
            </section>
          ) : null
        }
      />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function Edit({ of: row, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("tenants");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const [name, setName] = useState(row?.name ?? "");
  const [plan, setPlan] = useState<string>(row?.plan ?? "MDR");
  const [requests, setRequests] = useState(row?.limits.requestsPerMinute ?? 0);
  const [days, setDays] = useState(row?.retentionDays ?? 365);
  const url = `/api/v1/tenants${row ? `/${row.id}` : ""}`;
  const bodyOf = (of: { name: string; plan: string; requests: number; days: number }) => ({ name: of.name, plan: of.plan, retentionDays: of.days, ...(of.plan === "CUSTOM" ? { requestsPerMinute: of.requests } : {}) });
  return (
    <Dialog
      title={row ? forms("change") : t("newTenant")}
      action={row ? parts("save") : forms("create")}
      ready={name.trim() !== "" && days > 0}
      onClose={onClose}
      onSubmit={async () => {
        const shorter = row !== undefined && days < row.retentionDays;
        if (shorter && !(await confirm({ title: t("shorter", { name: visible(row.name), n: days }), text: t("shorterWhy", { n: days }), action: t("shorterSet", { n: days }) }))) return false;
        const got = await act({
          call: { method: row ? "PATCH" : "POST", url, body: bodyOf({ name: name.trim(), plan, requests, days }) },
          undo: row ? { method: "PATCH", url, body: bodyOf({ name: row.name, plan: row.plan, requests: row.limits.requestsPerMinute, days: row.retentionDays }) } : undefined,
          done: row ? t("saved") : t("made", { name: name.trim() }),
          renews: [["tenants"], ["session"]],
        });
        return got !== undefined;
      }}
    >
      <TextInput label={t("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Select label={t("plan")} allowDeselect={false} value={plan} onChange={(v) => v && setPlan(v)} data={[...plans]} />
      {plan === "CUSTOM" ? <NumberInput label={t("requests")} description={t("requestsWhy")} min={0} allowDecimal={false} value={requests} onChange={(v) => setRequests(Number(v) || 0)} /> : null}
      <NumberInput label={t("retention")} description={t("retentionWhy")} min={1} max={36500} allowDecimal={false} value={days} onChange={(v) => setDays(Number(v) || 0)} />
    </Dialog>
  );
}
