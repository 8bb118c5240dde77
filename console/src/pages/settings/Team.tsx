import { Button, Select, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useMay, useSession } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import type { Column } from "~/parts/DataTable";
import { Dialog, Once } from "~/parts/Dialog";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { toast } from "~/parts/Toasts";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl, writeQuery } from "~/url/url";

import { Two } from "./Keys";
import type { Handed, Person } from "./people";

const roles = ["Admin", "Analyst", "Viewer", "Auditor"] as const;
const statuses = ["invited", "active", "disabled"] as const;
const dots = { invited: "todo", active: "good", disabled: "off" } as const;

/** Who works here, and what each may do. */
export default function Team() {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("users:write");
  const url = useUrl();
  const query = { role: url.all("role"), status: url.all("status"), search: url.get("search") };
  const list = usePages<Person>({ key: ["users", query], load: (page, signal) => send({ method: "GET", url: `/api/v1/users${writeQuery({ ...query, size: 100, page })}` }, signal) });
  const [inviting, setInviting] = useState(false);
  const access = useText("access");
  const [link, setLink] = useState<Handed>();
  const hand = (got: Handed) => (got.sent ? toast(access("linkSent")) : setLink(got));
  const columns = useMemo<Column<Person>[]>(
    () => [
      { id: "name", header: forms("name"), width: "minmax(180px, 1fr)", cell: (r) => <Two first={<Raw text={r.name || r.email} />} second={<Raw text={r.email} />} /> },
      { id: "role", header: t("role"), width: "112px", cell: (r) => t(`role.${r.role}`) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={dots[r.status]}>{t(`person.${r.status}`)}</Pill> },
      { id: "factor", header: t("secondFactor"), width: "128px", from: 640, cell: (r) => (r.secondFactor ? t("yes") : <span className="dim">{t("no")}</span>) },
      { id: "last", header: t("lastSignIn"), width: "112px", from: 560, cell: (r) => (r.lastSignInAt ? <Time at={r.lastSignInAt} className="dim" /> : <span className="dim">{forms("never")}</span>) },
    ],
    [t, forms, words],
  );
  return (
    <>
      <Top why={t("teamWhy")}>
        {may ? (
          <Button size="xs" onClick={() => setInviting(true)}>
            {t("invite")}
          </Button>
        ) : null}
      </Top>
      <FilterBar
        facets={[
          { id: "role", label: t("role"), options: roles.map((r) => ({ value: r, label: t(`role.${r}`) })) },
          { id: "status", label: words("status"), options: statuses.map((s) => ({ value: s, label: t(`person.${s}`) })) },
        ]}
      />
      <Listing
        label={t("section.team")}
        list={list}
        columns={columns}
        filters={["role", "status", "search"]}
        rowHeight={48}
        empty={{ title: t("noPeople"), why: t("teamWhy") }}
        panel={(_, row, close) => (row ? <About person={row} may={may} onLink={hand} onGone={close} /> : null)}
      />
      {inviting ? <Invite onClose={() => setInviting(false)} onLink={hand} /> : null}
      {link ? <Once title={t("link")} why={link.unsent === "" ? t("linkWhy") : access("linkUnsent", { why: visible(link.unsent) })} value={link.link} onClose={() => setLink(undefined)} /> : null}
    </>
  );
}

function About({ person, may, onLink, onGone }: { person: Person; may: boolean; onLink: (l: Handed) => void; onGone: () => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const words = useText("words");
  const { user } = useSession();
  const act = useAct();
  const path = `/api/v1/users/${person.id}`;
  const renews = [["users"]];
  const self = person.id === user.id;
  const ask = (title: string, text: string, call: { method: "POST" | "DELETE"; url: string }, done: string, then?: () => void) =>
    void confirm({ title, text, action: title }).then(async (yes) => {
      if (!yes) return;
      await act({ call, done, renews });
      then?.();
    });
  const button = (label: string, run: () => void) => (
    <Button size="xs" variant="default" onClick={run}>
      {label}
    </Button>
  );
  return (
    <>
      <h2>
        <Raw text={person.name || person.email} />
      </h2>
      <Facts
        of={[
          [t("email"), <Raw text={person.email} />],
          [words("status"), <Pill dot={dots[person.status]}>{t(`person.${person.status}`)}</Pill>],
          [t("secondFactor"), person.secondFactor ? t("yes") : t("no")],
          [t("sessions"), person.sessions.toLocaleString()],
          [t("lastSignIn"), person.lastSignInAt ? <Time at={person.lastSignInAt} /> : forms("never")],
          [words("created"), <><Time at={person.createdAt} /> · {visible(person.createdBy)}</>],
        ]}
      />
      {may ? (
        <>
          <Select
            label={t("role")}
            description={t(`roleWhy.${person.role}`)}
            disabled={self}
            value={person.role}
            data={roles.map((r) => ({ value: r, label: t(`role.${r}`) }))}
            onChange={(v) => v && v !== person.role && void act({ call: { method: "PATCH", url: path, body: { role: v } }, undo: { method: "PATCH", url: path, body: { role: person.role } }, done: forms("saved"), renews })}
          />
          <div style={{ display: "flex", flexWrap: "wrap", gap: 8 }}>
            {button(person.status === "invited" ? t("newInvitation") : t("resetPassword"), () => void act<Handed>({ call: { method: "POST", url: `${path}/link` }, done: t("linkMade"), renews }).then((got) => got && onLink(got)))}
            {self || person.status === "invited"
              ? null
              : button(person.status === "disabled" ? forms("switchOn") : forms("switchOff"), () =>
                  void act({ call: { method: "PATCH", url: path, body: { status: person.status === "disabled" ? "active" : "disabled" } }, undo: { method: "PATCH", url: path, body: { status: person.status } }, done: forms("saved"), renews }),
                )}
            {person.secondFactor ? button(t("resetFactor"), () => ask(t("resetFactor"), t("resetFactorWhy", { name: person.name }), { method: "POST", url: `${path}/reset-second-factor` }, forms("saved"))) : null}
            {person.sessions > 0 ? button(t("endSessions"), () => ask(t("endSessions"), t("endSessionsWhy", { name: person.name }), { method: "POST", url: `${path}/end-sessions` }, t("sessionsEnded"))) : null}
            {self ? null : button(forms("remove"), () => ask(forms("remove"), t("removeWhy", { name: person.name || person.email }), { method: "DELETE", url: path }, t("removed"), onGone))}
          </div>
        </>
      ) : null}
    </>
  );
}

function Invite({ onClose, onLink }: { onClose: () => void; onLink: (l: Handed) => void }) {
  const t = useText("settings");
  const forms = useText("forms");
  const act = useAct();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<(typeof roles)[number]>("Analyst");
  return (
    <Dialog
      title={t("invite")}
      action={t("invite")}
      ready={email.trim() !== "" && name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const got = await act<Handed>({ call: { method: "POST", url: "/api/v1/users", body: { email: email.trim(), name: name.trim(), role } }, done: t("invited", { name: name.trim() }), renews: [["users"]] });
        if (got) onLink(got);
        return got !== undefined;
      }}
    >
      <TextInput label={t("email")} type="email" required value={email} onChange={(e) => setEmail(e.currentTarget.value)} data-autofocus />
      <TextInput label={forms("name")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      <Select label={t("role")} description={t(`roleWhy.${role}`)} value={role} onChange={(v) => v && setRole(v as typeof role)} data={roles.map((r) => ({ value: r, label: t(`role.${r}`) }))} />
    </Dialog>
  );
}
