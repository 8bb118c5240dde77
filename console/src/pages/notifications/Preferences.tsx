import { Button, Checkbox, Group, NumberInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useMay, useSession } from "~/api/session";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { zoneNow } from "~/time/time";

import css from "./notifications.module.css";
import { Told } from "./Told";

/** What this person is told: in the console, and by letters of their own. */
export default function Preferences() {
  const q = useQuery({ queryKey: ["notifications", "preferences"], queryFn: ({ signal }) => answer(client.GET("/api/v1/notifications/preferences", { signal })) });
  if (q.isPending) return <Loading rows={3} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return <Form key={JSON.stringify(q.data)} now={q.data} />;
}

function Form({ now }: { now: Schema<"PreferencesBody"> }) {
  const t = useText("plan");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const { user } = useSession();
  const mayConnectors = useMay("connectors:read");
  const [events, setEvents] = useState(now.inApp.events);
  const [severity, setSeverity] = useState(now.inApp.severity);
  const mail = now.email;
  const [on, setOn] = useState(mail !== undefined);
  const [address, setAddress] = useState(mail?.address ?? user.email);
  const [connector, setConnector] = useState(mail?.connectorId ?? "");
  const [mailEvents, setMailEvents] = useState<string[]>(mail?.events ?? []);
  const [mailSeverity, setMailSeverity] = useState<string[]>(mail?.severity ?? ["critical", "high"]);
  const [quiet, setQuiet] = useState(mail?.quietHours !== undefined);
  const [from, setFrom] = useState(mail?.quietHours?.from ?? "22:00");
  const [until, setUntil] = useState(mail?.quietHours?.to ?? "07:00");
  const [above, setAbove] = useState(mail?.digest?.above ?? 20);
  const servers = useQuery({ queryKey: ["connectors", "smtp"], enabled: mayConnectors, queryFn: ({ signal }) => answer(client.GET("/api/v1/connectors", { params: { query: { size: 100, kind: ["smtp"] } as never }, signal })) });
  const list = servers.data?.content ?? [];
  const chosen = connector || (list.length === 1 ? list[0]!.id : "");
  const body = {
    inApp: { events, severity },
    ...(on
      ? {
          email: {
            address: address.trim(),
            connectorId: chosen,
            events: mailEvents,
            severity: mailSeverity,
            digest: { above, minutes: mail?.digest?.minutes || 10 },
            ...(quiet ? { quietHours: { from, to: until, timeZone: mail?.quietHours?.timeZone ?? zoneNow(), except: mail?.quietHours?.except ?? ["critical"] } } : {}),
          },
        }
      : {}),
  };
  const url = "/api/v1/notifications/preferences";
  const ready = !on || (address.trim() !== "" && chosen !== "");
  return (
    <div className={css.preferences}>
      <section>
        <h2>{t("inApp")}</h2>
        <p className="dim">{t("inAppWhy")}</p>
        <Told events={events} onEvents={setEvents} severity={severity} onSeverity={setSeverity} />
      </section>
      <section>
        <h2>{t("byMail")}</h2>
        <p className="dim">{t("byMailWhy")}</p>
        {servers.data && list.length === 0 && !mail ? (
          <p>
            {t("noMailServer")}. <Link to="/connectors" style={{ textDecoration: "underline" }}>{t("connectMail")}</Link>
          </p>
        ) : (
          <>
            <Checkbox label={t("mailOn")} checked={on} onChange={(e) => setOn(e.currentTarget.checked)} />
            {on ? (
              <>
                <TextInput label={t("mailTo")} type="email" required value={address} onChange={(e) => setAddress(e.currentTarget.value)} />
                <Select label={t("mailServer")} required value={chosen || null} onChange={(v) => setConnector(v ?? "")} data={list.map((c) => ({ value: c.id, label: c.name }))} />
                <Told events={mailEvents} onEvents={setMailEvents} severity={mailSeverity} onSeverity={setMailSeverity} />
                <NumberInput label={t("digest")} description={t("digestWhy")} min={0} max={1000} value={above} onChange={(v) => setAbove(Number(v) || 0)} />
                <Checkbox label={t("quiet")} description={t("quietWhy")} checked={quiet} onChange={(e) => setQuiet(e.currentTarget.checked)} />
                {quiet ? (
                  <Group grow>
                    <TextInput type="time" label={t("from")} value={from} onChange={(e) => setFrom(e.currentTarget.value)} />
                    <TextInput type="time" label={t("until")} value={until} onChange={(e) => setUntil(e.currentTarget.value)} />
                  </Group>
                ) : null}
              </>
            ) : null}
          </>
        )}
      </section>
      <div>
        <Button size="xs" disabled={!ready} onClick={() => void act({ call: { method: "PUT", url, body }, undo: { method: "PUT", url, body: { inApp: now.inApp, ...(mail ? { email: mail } : {}) } }, done: forms("saved"), renews: [["notifications"]] })}>
          {parts("save")}
        </Button>
      </div>
    </div>
  );
}
