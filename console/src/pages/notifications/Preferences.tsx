import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";

import { Told } from "./Told";

/** What this person's inbox in the console holds. */
export function Preferences() {
  const q = useQuery({ queryKey: ["notifications", "preferences"], queryFn: ({ signal }) => answer(client.GET("/api/v1/notifications/preferences", { signal })) });
  if (q.isPending) return <Loading rows={3} />;
  if (q.error) return <Failed error={q.error} />;
  return <Form now={q.data} />;
}

function Form({ now }: { now: Schema<"PreferencesBody"> }) {
  const t = useText("notifications");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const [events, setEvents] = useState(now.inApp.events);
  const [severity, setSeverity] = useState(now.inApp.severity);
  const url = "/api/v1/notifications/preferences";
  const mail = now.email ? { email: now.email } : {};
  return (
    <div style={{ display: "flex", flexDirection: "column", gap: 16, maxWidth: 520, padding: 16 }}>
      <p className="dim" style={{ margin: 0 }}>
        {t("preferencesWhy")}
      </p>
      <Told events={events} onEvents={setEvents} severity={severity} onSeverity={setSeverity} />
      <div>
        <Button
          size="xs"
          onClick={() =>
            void act({ call: { method: "PUT", url, body: { ...mail, inApp: { events, severity } } }, undo: { method: "PUT", url, body: { ...mail, inApp: now.inApp } }, done: forms("saved"), renews: [["notifications"]] })
          }
        >
          {parts("save")}
        </Button>
      </div>
    </div>
  );
}
