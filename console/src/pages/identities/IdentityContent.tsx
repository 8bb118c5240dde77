import { Button, Select, TagsInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useMay } from "~/api/session";
import { Dialog } from "~/parts/Dialog";
import { Facts, Rows } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import { dots, statuses } from "./Identities";

type Detail = Schema<"IdentityDetail">;

/** One account: what it may, where it is seen, from where it signs in. */
export function IdentityContent({ id }: { id: string }) {
  const t = useText("identities");
  const forms = useText("forms");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("identities:write");
  const q = useQuery({ queryKey: ["identities", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/identities/{id}", { params: { path: { id } }, signal })) });
  const [editing, setEditing] = useState(false);
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const p = q.data;
  if (!p) return <Loading rows={6} />;
  return (
    <>
      <section>
        <h2>
          <Raw text={p.key} />
        </h2>
        <div style={{ display: "flex", gap: 8, margin: "8px 0", alignItems: "center" }}>
          <Pill dot={dots[p.status]}>{t(`status.${p.status}`)}</Pill>
          {p.privileged ? <Pill dot="warn">{t("privileged")}</Pill> : null}
          {p.dormant ? <Pill dot="off">{t("dormant")}</Pill> : null}
          {may ? (
            <Button size="compact-xs" variant="default" onClick={() => setEditing(true)}>
              {forms("change")}
            </Button>
          ) : null}
          <Link to={"/alerts" as "/"} search={{ entity: p.name, status: "any" } as never}>
            {t("alertsOf")}
          </Link>
        </div>
        <Facts
          of={[
            [t("type"), t(`type.${p.type}`)],
            [t("domain"), p.domain ? visible(p.domain) : null],
            [t("owner"), p.owner ? visible(p.owner) : null],
            [t("tags"), p.tags.length > 0 ? visible(p.tags.join(", ")) : null],
            [t("because"), p.privilegedReasons.length > 0 ? visible(p.privilegedReasons.join("; ")) : null],
            [t("lastSignIn"), p.lastSignIn ? <Time at={p.lastSignIn} /> : null],
            [t("from"), p.lastSignInFrom ? <Value field="ip" value={p.lastSignInFrom} className="mono" /> : null],
            [words("host"), p.lastSignInHost ? <Value field="host" value={p.lastSignInHost} /> : null],
            [t("failed"), p.failedSignIns24h.toLocaleString(language)],
            [t("failed7d"), p.failedSignIns7d.toLocaleString(language)],
            [t("usual"), p.usualSources.length > 0 ? visible(p.usualSources.join(", ")) : null],
            [t("firstSeen"), <Time at={p.firstSeen} />],
            [t("lastSeen"), <Time at={p.lastSeen} />],
          ]}
        />
      </section>
      <Places label={t("hosts")} field="host" of={p.hosts} />
      <Places label={t("addresses")} field="ip" of={p.addresses} />
      {editing ? <Edit of={p} onClose={() => setEditing(false)} /> : null}
    </>
  );
}

function Places({ label, field, of }: { label: string; field: string; of: Schema<"IdentityPlace">[] }) {
  const t = useText("identities");
  const language = useLanguage();
  if (of.length === 0) return null;
  return (
    <section>
      <h2>{label}</h2>
      <Rows label={label} head={[t("value"), t("times"), t("firstSeen"), t("lastSeen")]} rows={of.map((x) => ({ key: x.value, cells: [<Value field={field} value={x.value} className="mono" />, x.times.toLocaleString(language), <Time at={x.firstSeen} />, <Time at={x.lastSeen} />] }))} />
    </section>
  );
}

function Edit({ of: p, onClose }: { of: Detail; onClose: () => void }) {
  const t = useText("identities");
  const forms = useText("forms");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const before = { owner: p.owner, status: p.status as string, privileged: p.privilegedOverride === null ? "auto" : p.privilegedOverride ? "yes" : "no", tags: p.tags };
  const [now, setNow] = useState(before);
  const set = (change: Partial<typeof before>) => setNow((n) => ({ ...n, ...change }));
  const changed = (Object.keys(before) as (keyof typeof before)[]).filter((k) => JSON.stringify(before[k]) !== JSON.stringify(now[k]));
  const only = (from: typeof before) => Object.fromEntries(changed.map((k) => [k, from[k]]));
  const url = `/api/v1/identities/${p.id}`;
  return (
    <Dialog
      title={forms("change")}
      action={parts("save")}
      ready={changed.length > 0}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "PATCH", url, body: only(now) }, undo: { method: "PATCH", url, body: only(before) }, done: forms("saved"), renews: [["identities"]] })) !== undefined}
    >
      <TextInput label={t("owner")} value={now.owner} onChange={(e) => set({ owner: e.currentTarget.value })} data-autofocus />
      <Select label={words("status")} allowDeselect={false} value={now.status} data={statuses.map((s) => ({ value: s, label: t(`status.${s}`) }))} onChange={(v) => v !== null && set({ status: v })} />
      <Select label={t("privileged")} allowDeselect={false} value={now.privileged} data={(["auto", "yes", "no"] as const).map((v) => ({ value: v, label: t(`privilege.${v}`) }))} onChange={(v) => v !== null && set({ privileged: v })} />
      <TagsInput label={t("tags")} value={now.tags} onChange={(tags) => set({ tags })} />
    </Dialog>
  );
}
