import { Select, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { Dialog } from "~/parts/Dialog";
import { severities } from "~/parts/Severity";
import { useText } from "~/text/text";

/** An incident by hand: for what no rule has seen. */
export function NewIncident({ onClose }: { onClose: () => void }) {
  const t = useText("incidents");
  const words = useText("words");
  const act = useAct();
  const navigate = useNavigate();
  const [title, setTitle] = useState("");
  const [severity, setSeverity] = useState<string>("medium");
  return (
    <Dialog
      title={t("new")}
      action={t("create")}
      ready={title.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => {
        const made = await act<{ id: string }>({ call: { method: "POST", url: "/api/v1/incidents", body: { title: title.trim(), severity } }, done: t("made"), renews: [["incidents"], ["stats"]] });
        if (made) void navigate({ to: `/incidents/${made.id}` });
        return made !== undefined;
      }}
    >
      <TextInput label={words("title")} required maxLength={500} value={title} onChange={(e) => setTitle(e.currentTarget.value)} data-autofocus />
      <Select label={words("severity")} value={severity} onChange={(v) => v && setSeverity(v)} data={severities.map((s) => ({ value: s, label: words(`severity.${s}`) }))} />
    </Dialog>
  );
}
