import { Button, Checkbox, MultiSelect, Select, Stack, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Deliveries } from "~/parts/Deliveries";
import { Dialog, Once } from "~/parts/Dialog";
import { told } from "~/parts/events";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { severities } from "~/parts/Severity";
import { toast } from "~/parts/Toasts";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { Two } from "./Keys";

type Row = Schema<"WebhookItem">;
const dots = { active: "good", failing: "warn", disabled: "off" } as const;
const formats = ["standard", "slack", "teams", "discord"] as const;

/** Where KYRA reports to: each with its log of what was sent. */
export default function Webhooks() {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("webhooks:write");
  const url = useUrl();
  const search = url.get("search");
  const list = usePages<Row>({ key: ["webhooks", search], load: (page, signal) => answer(client.GET("/api/v1/webhooks", { params: { query: { size: 100, page, ...(search ? { search } : {}) } }, signal })) });
  const [editing, setEditing] = useState<Row | "new">();
  const [secret, setSecret] = useState<string>();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(180px, 1fr)", cell: (r) => <Two first={<Raw text={r.name} />} second={<Raw text={r.url} />} /> },
      { id: "status", header: words("status"), width: "120px", cell: (r) => <Pill dot={dots[r.status]}>{t(`hook.${r.status}`)}</Pill> },
      { id: "events", header: forms("events"), width: "88px", align: "right", from: 560, cell: (r) => r.events.length },
      { id: "last", header: t("lastSuccess"), width: "128px", from: 640, cell: (r) => (r.lastSuccessAt ? <Time at={r.lastSuccessAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
    ],
    [t, forms, words],
  );
  return (
    <>
      <Top why={t("hooksWhy")}>
        {may ? (
          <Button size="xs" onClick={() => setEditing("new")}>
            {t("newHook")}
          </Button>
        ) : null}
      </Top>
      <FilterBar facets={[]} />
      <Listing
        label={t("section.webhooks")}
        list={list}
        columns={columns}
        filters={["search"]}
        rowHeight={48}
        empty={{ title: t("noHooks"), why: t("hooksWhy") }}
        panelActions={(_, row, close) => (row && may ? <Actions hook={row} onEdit={() => setEditing(row)} onSecret={setSecret} onGone={close} /> : null)}
        panel={(id, row) => (
          <>
            {row ? <About hook={row} /> : null}
            <Deliveries path={`/api/v1/webhooks/${id}`} replay={may} />
          </>
        )}
      />
      {editing ? <Edit hook={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} onSecret={setSecret} /> : null}
      {secret ? <Once title={t("hookSecret")} why={t("hookSecretWhy")} value={secret} onClose={() => setSecret(undefined)} /> : null}
    </>
  );
}

function About({ hook }: { hook: Row }) {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const f = hook.filters;
  return (
    <section>
      <h2>
        <Raw text={hook.name} />
      </h2>
      <br />
      <Facts
        of={[
          [words("status"), <Pill dot={dots[hook.status]}>{t(`hook.${hook.status}`)}</Pill>],
          [t("why"), hook.disabledReason ? visible(hook.disabledReason) : null],
          [t("lastError"), hook.lastError ? visible(hook.lastError) : null],
          [t("address"), <Raw text={hook.url} className="mono" />],
          [t("format"), t(`format.${hook.format}`)],
          [forms("events"), hook.events.map((e) => forms(`event.${e}` as "event.canary")).join(", ")],
          [words("severity"), f.severity?.length ? f.severity.map((s) => words(`severity.${s}` as "severity.low")).join(", ") : forms("anySeverity")],
          [words("source"), f.source?.length ? visible(f.source.join(", ")) : null],
          [words("rule"), f.rule?.length ? visible(f.rule.join(", ")) : null],
          [t("titleContains"), f.titleContains ? visible(f.titleContains) : null],
          [t("oldSecret"), hook.oldSecretUntil ? <Time at={hook.oldSecretUntil} /> : null],
          [words("created"), <><Time at={hook.createdAt} /> · {visible(hook.createdBy)}</>],
        ]}
      />
    </section>
  );
}

function Actions({ hook, onEdit, onSecret, onGone }: { hook: Row; onEdit: () => void; onSecret: (s: string) => void; onGone: () => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const act = useAct();
  const path = `/api/v1/webhooks/${hook.id}`;
  const renews = [["webhooks"], ["deliveries", path]];
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      {button(forms("test"), () => void act<Schema<"TestResult">>({ call: { method: "POST", url: `${path}/test`, body: {} }, done: t("testSent"), renews }).then((got) => got && toast(got.success ? forms("testDone") : forms("testFailed", { why: got.error ?? String(got.response.status ?? "") }))))}
      {button(forms("change"), onEdit)}
      {button(hook.enabled ? forms("switchOff") : forms("switchOn"), () =>
        void act({ call: { method: "PATCH", url: path, body: { enabled: !hook.enabled } }, undo: { method: "PATCH", url: path, body: { enabled: hook.enabled } }, done: hook.enabled ? forms("switchedOff") : forms("switchedOn"), renews }),
      )}
      {button(t("replayFailed"), () =>
        void act<Schema<"ReplayedOutBody">>({ call: { method: "POST", url: `${path}/deliveries/replay`, body: { from: new Date(Date.now() - 86_400_000).toISOString(), missed: true } }, done: t("replayed"), renews }),
      )}
      {button(t("rotate"), () =>
        void confirm({ title: t("rotate"), text: t("rotateWhy"), action: t("rotate") }).then(async (yes) => {
          if (!yes) return;
          const got = await act<Schema<"NewWebhook">>({ call: { method: "POST", url: `${path}/rotate-secret`, body: { graceHours: 24 } }, done: t("rotated"), renews });
          if (got) onSecret(got.secret);
        }),
      )}
      {button(forms("delete"), () =>
        void confirm({ title: forms("delete"), text: t("deleteHookWhy", { name: hook.name }), action: forms("delete") }).then(async (yes) => {
          if (!yes) return;
          await act({ call: { method: "DELETE", url: path }, done: forms("deleted"), renews });
          onGone();
        }),
      )}
    </>
  );
}

function Edit({ hook, onClose, onSecret }: { hook: Row | undefined; onClose: () => void; onSecret: (s: string) => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const [name, setName] = useState(hook?.name ?? "");
  const [address, setAddress] = useState(hook?.url ?? "");
  const [format, setFormat] = useState<string>(hook?.format ?? "standard");
  const [events, setEvents] = useState<string[]>(hook?.events ?? ["alert.created", "incident.created"]);
  const [severity, setSeverity] = useState<string[]>(hook?.filters.severity ?? []);
  const [contains, setContains] = useState(hook?.filters.titleContains ?? "");
  return (
    <Dialog
      wide
      title={hook ? forms("change") : t("newHook")}
      action={hook ? parts("save") : forms("create")}
      ready={name.trim() !== "" && address.trim() !== "" && events.length > 0}
      onClose={onClose}
      onSubmit={async () => {
        const filters = { ...hook?.filters, severity, titleContains: contains };
        const body = { name: name.trim(), url: address.trim(), format, events, filters };
        const got = await act<Schema<"NewWebhook">>({ call: { method: hook ? "PATCH" : "POST", url: hook ? `/api/v1/webhooks/${hook.id}` : "/api/v1/webhooks", body }, done: forms("saved"), renews: [["webhooks"]] });
        if (got && !hook) onSecret(got.secret);
        return got !== undefined;
      }}
    >
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <TextInput label={t("address")} required type="url" placeholder="https://" value={address} onChange={(e) => setAddress(e.currentTarget.value)} />
      <Select label={t("format")} value={format} onChange={(v) => v && setFormat(v)} data={formats.map((f) => ({ value: f, label: t(`format.${f}`) }))} />
      <Events value={events} onChange={setEvents} />
      <MultiSelect label={words("severity")} placeholder={severity.length === 0 ? forms("anySeverity") : ""} value={severity} onChange={setSeverity} data={severities.map((s) => ({ value: s as string, label: words(`severity.${s}`) }))} />
      <TextInput label={`${t("titleContains")} (${forms("optional")})`} value={contains} onChange={(e) => setContains(e.currentTarget.value)} />
    </Dialog>
  );
}

/** What is told: two columns of boxes. */
function Events({ value, onChange }: { value: string[]; onChange: (v: string[]) => void }) {
  const forms = useText("forms");
  return (
    <Checkbox.Group label={forms("events")} value={value} onChange={onChange}>
      <Stack gap={6} mt={6} style={{ display: "grid", gridTemplateColumns: "1fr 1fr" }}>
        {told.map((e) => (
          <Checkbox key={e} value={e} label={forms(`event.${e}`)} title={e} />
        ))}
      </Stack>
    </Checkbox.Group>
  );
}
