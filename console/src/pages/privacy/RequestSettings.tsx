import { Button, Select, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { linesOf } from "~/parts/lines";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { zoneNow } from "~/time/time";

import { laws } from "./Privacy";

/** How terms are counted: under which law, in which zone, without which days. */
export function RequestSettings() {
  const q = useQuery({ queryKey: ["dsr", "settings"], queryFn: ({ signal }) => answer(client.GET("/api/v1/dsr/settings", { signal })) });
  if (q.isPending) return <Loading rows={3} />;
  if (q.error) return <Failed error={q.error} />;
  return <Form now={q.data} />;
}

function Form({ now }: { now: Schema<"RequestSettings"> }) {
  const t = useText("privacy");
  const parts = useText("parts");
  const act = useAct();
  const [law, setLaw] = useState<string>(now.law ?? "");
  const [zone, setZone] = useState(now.timeZone);
  const [days, setDays] = useState(now.holidays.join("\n"));
  const url = "/api/v1/dsr/settings";
  return (
    <div style={{ display: "flex", flexDirection: "column", gap: 16, maxWidth: 480, padding: 16 }}>
      <Select label={t("lawOfAll")} clearable value={law || null} onChange={(v) => setLaw(v ?? "")} data={[...laws]} placeholder={t("eachTime")} />
      <Select label={t("zone")} searchable limit={100} value={zone} onChange={(v) => v && setZone(v)} data={[...new Set([now.timeZone, zoneNow(), "UTC", ...Intl.supportedValuesOf("timeZone")])]} />
      <Textarea label={t("holidays")} description={t("holidaysWhy")} placeholder="2027-01-01" autosize minRows={3} maxRows={12} value={days} onChange={(e) => setDays(e.currentTarget.value)} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} />
      <div>
        <Button size="xs" onClick={() => void act({ call: { method: "PATCH", url, body: { law, timeZone: zone, holidays: linesOf(days) } }, undo: { method: "PATCH", url, body: { law: now.law ?? "", timeZone: now.timeZone, holidays: now.holidays } }, done: t("saved"), renews: [["dsr"]] })}>
          {parts("save")}
        </Button>
      </div>
    </div>
  );
}
