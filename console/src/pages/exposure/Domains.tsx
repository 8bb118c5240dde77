import { Button, Checkbox, NumberInput, Textarea, TextInput } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { queries } from "~/api/queries";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { copy } from "~/parts/copy";
import type { Column } from "~/parts/DataTable";
import { Dialog } from "~/parts/Dialog";
import { Block, Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Job } from "~/parts/Job";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { toast } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

type Row = Schema<"DomainItem">;

/** Own domains: proved by a DNS record, then looked at from outside where that is wanted. */
export function Domains() {
  const t = useText("exposure");
  const language = useLanguage();
  const url = useUrl();
  const may = useMay("exposure:write");
  const search = url.get("search");
  const list = usePages<Row>({ key: ["domains", "list", search], load: (page, signal) => answer(client.GET("/api/v1/domains", { params: { query: { ...(search ? { search } : {}), size: 100, page } as never }, signal })) });
  const [editing, setEditing] = useState<Row | "new">();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: t("domain"), width: "minmax(160px, 1fr)", cell: (r) => <Raw text={r.name} /> },
      { id: "verified", header: t("proof"), width: "128px", cell: (r) => <Pill dot={r.verified ? "good" : "todo"}>{r.verified ? t("verified") : t("unverified")}</Pill> },
      { id: "checks", header: t("checks"), width: "128px", from: 640, cell: (r) => <Pill dot={r.activeChecks ? "good" : "off"}>{r.activeChecks ? t("daily") : t("none")}</Pill> },
      { id: "names", header: t("tab.names"), width: "104px", align: "right", cell: (r) => r.subdomains.toLocaleString(language) },
      { id: "checkedAt", header: t("lastCheck"), width: "128px", align: "right", from: 720, cell: (r) => (r.checkedAt ? <Time at={r.checkedAt} className="dim" /> : <span className="dim">–</span>) },
    ],
    [t, language],
  );
  const create = may ? (
    <Button size="xs" onClick={() => setEditing("new")}>
      {t("newDomain")}
    </Button>
  ) : null;
  return (
    <>
      <FilterBar facets={[]}>{create}</FilterBar>
      <Listing
        label={t("tab.domains")}
        list={list}
        columns={columns}
        filters={["search"]}
        empty={{ title: t("noDomains"), why: t("noDomainsWhy"), action: create }}
        panel={(_, r, close) => (r ? <DomainContent of={r} onEdit={() => setEditing(r)} onGone={close} /> : null)}
      />
      {editing ? <Edit of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} /> : null}
    </>
  );
}

function DomainContent({ of: d, onEdit, onGone }: { of: Row; onEdit: () => void; onGone: () => void }) {
  const t = useText("exposure");
  const forms = useText("forms");
  const parts = useText("parts");
  const words = useText("words");
  const act = useAct();
  const may = useMay("exposure:write");
  const [job, setJob] = useState<string>();
  const url = `/api/v1/domains/${d.id}`;
  const record = `${d.verification.name}. IN TXT "${d.verification.value}"`;
  const renews = [["domains"], ["subdomains"]];
  const button = (label: string, run: () => void) => (
    <Button size="compact-xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      <section>
        <h2>
          <Raw text={d.name} />
        </h2>
        {may ? (
          <div style={{ display: "flex", flexWrap: "wrap", gap: 8, margin: "8px 0" }}>
            {button(forms("change"), onEdit)}
            {d.verified ? button(t("checkNow"), () => void act<{ id: string }>({ call: { method: "POST", url: `${url}/check` }, done: t("checking"), renews }).then((j) => j && setJob(j.id))) : null}
            {button(forms("delete"), () =>
              void confirm({ title: forms("delete"), text: t("deleteDomainWhy", { name: d.name }), action: forms("delete") }).then(async (yes) => {
                if (!yes) return;
                onGone();
                await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews });
              }),
            )}
          </div>
        ) : null}
        {job !== undefined ? <Job key={job} id={job} label={t("checking")} onEnd={() => renews.forEach((queryKey) => void queries.invalidateQueries({ queryKey }))} /> : null}
        <Facts
          of={[
            [t("proof"), d.verifiedAt !== null ? <><Pill dot="good">{t("verified")}</Pill> <Time at={d.verifiedAt} /></> : <Pill dot="todo">{t("unverified")}</Pill>],
            [t("checks"), d.activeChecks ? t("daily") : t("none")],
            [t("alertOnNew"), d.alertOnNew ? forms("enabled") : forms("disabled")],
            [t("learning"), t("hours", { n: d.learningHours })],
            [t("goneAfter"), t("days", { n: d.goneAfterDays })],
            [t("notes"), d.notes ? visible(d.notes) : null],
            [words("created"), <><Time at={d.createdAt} /> · {visible(d.createdBy)}</>],
          ]}
        />
        <p>
          <Link to={"/exposure" as "/"} search={{ domain: d.name } as never}>
            {t("namesUnder", { n: d.subdomains })}
          </Link>
        </p>
      </section>
      {d.verified ? null : (
        <section>
          <h2>{t("proveTitle")}</h2>
          <p className="dim">{t("proveWhy")}</p>
          <Block label={t("record")} text={record} />
          <div style={{ display: "flex", gap: 8, marginTop: 8 }}>
            {button(parts("copy"), () => void copy(d.verification.value).then((ok) => ok && toast(parts("copied"))))}
            {may ? button(t("verifyNow"), () => void act({ call: { method: "POST", url: `${url}/verify` }, done: t("verifiedNow"), renews })) : null}
          </div>
        </section>
      )}
    </>
  );
}

function Edit({ of: d, onClose }: { of: Row | undefined; onClose: () => void }) {
  const t = useText("exposure");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const [name, setName] = useState("");
  const [now, setNow] = useState({ alertOnNew: d?.alertOnNew ?? true, learningHours: d?.learningHours ?? 24, activeChecks: d?.activeChecks ?? false, goneAfterDays: d?.goneAfterDays ?? 90, notes: d?.notes ?? "" });
  const set = (change: Partial<typeof now>) => setNow((n) => ({ ...n, ...change }));
  const checks = d?.verified ?? false;
  const { activeChecks, ...others } = now;
  const body = checks ? { ...others, activeChecks } : others;
  return (
    <Dialog
      title={d ? forms("change") : t("newDomain")}
      action={d ? parts("save") : forms("create")}
      ready={d !== undefined || name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () =>
        (await act({ call: d ? { method: "PATCH", url: `/api/v1/domains/${d.id}`, body } : { method: "POST", url: "/api/v1/domains", body: { ...body, name: name.trim() } }, done: forms("saved"), renews: [["domains"]] })) !== undefined
      }
    >
      {d ? null : <TextInput label={t("domain")} required placeholder="example.com" maxLength={253} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />}
      <Checkbox label={t("alertOnNew")} description={t("alertOnNewWhy")} checked={now.alertOnNew} onChange={(e) => set({ alertOnNew: e.currentTarget.checked })} />
      <Checkbox label={t("activeChecks")} description={checks ? t("activeChecksWhy") : t("activeChecksNot")} disabled={!checks} checked={activeChecks} onChange={(e) => set({ activeChecks: e.currentTarget.checked })} />
      <NumberInput label={t("learning")} description={t("learningWhy")} min={0} max={720} value={now.learningHours} onChange={(v) => v !== "" && set({ learningHours: Number(v) })} />
      <NumberInput label={t("goneAfter")} description={t("goneAfterWhy")} min={1} max={3650} value={now.goneAfterDays} onChange={(v) => v !== "" && set({ goneAfterDays: Number(v) })} />
      <Textarea label={t("notes")} autosize minRows={2} maxRows={8} maxLength={10000} value={now.notes} onChange={(e) => set({ notes: e.currentTarget.value })} />
    </Dialog>
  );
}
