import { Button, Modal, Select, Stack, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { severities } from "~/parts/Severity";
import { useText } from "~/text/text";

/** An incident by hand: for what no rule has seen. */
export function NewIncident({ onClose }: { onClose: () => void }) {
  const t = useText("incidents");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const navigate = useNavigate();
  const [title, setTitle] = useState("");
  const [severity, setSeverity] = useState<string>("medium");
  return (
    <Modal opened onClose={onClose} title={t("new")} closeButtonProps={{ "aria-label": parts("close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (title.trim() === "") return;
          void act<{ id: string }>({ call: { method: "POST", url: "/api/v1/incidents", body: { title: title.trim(), severity } }, done: t("made"), renews: [["incidents"], ["stats"]] }).then((made) => made && navigate({ to: `/incidents/${made.id}` }));
          onClose();
        }}
      >
        <Stack gap="md">
          <TextInput label={words("title")} required maxLength={500} value={title} onChange={(e) => setTitle(e.currentTarget.value)} data-autofocus />
          <Select label={words("severity")} value={severity} onChange={(v) => v && setSeverity(v)} data={severities.map((s) => ({ value: s, label: words(`severity.${s}`) }))} />
          <Button type="submit" disabled={title.trim() === ""}>
            {t("create")}
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
