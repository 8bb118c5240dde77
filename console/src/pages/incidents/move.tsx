import { Button, Modal, Stack, Textarea } from "@mantine/core";
import { useState, type ReactNode } from "react";

import { useAct } from "~/api/act";
import { useText } from "~/text/text";

import { moveAhead, needsReason, type Row, type Status } from "./data";

/** Changes the status of an incident; asks for the reason where the server needs one. */
export function useMove(): { move: (row: Pick<Row, "id" | "status" | "title">, to: Status) => void; dialog: ReactNode } {
  const t = useText("incidents");
  const words = useText("words");
  const parts = useText("parts");
  const act = useAct();
  const [asked, setAsked] = useState<{ row: Pick<Row, "id" | "status" | "title">; to: Status }>();
  const [reason, setReason] = useState("");
  const send = (row: Pick<Row, "id" | "status">, to: Status, why: string) =>
    void act({
      call: { method: "PATCH", url: `/api/v1/incidents/${row.id}`, body: { status: to, ...(why ? { reason: why } : {}) } },
      undo: { method: "PATCH", url: `/api/v1/incidents/${row.id}`, body: { status: row.status, reason: t("undoReason") } },
      done: t("moved", { status: words(`incident.${to}`) }),
      renews: [["incidents"], ["stats"]],
      ahead: () => moveAhead(row.id, to),
    });
  const close = () => {
    setAsked(undefined);
    setReason("");
  };
  return {
    move: (row, to) => {
      if (row.status === to) return;
      if (needsReason(row.status, to)) setAsked({ row, to });
      else send(row, to, "");
    },
    dialog: (
      <Modal opened={asked !== undefined} onClose={close} title={asked ? t("moveTo", { status: words(`incident.${asked.to}`) }) : ""} closeButtonProps={{ "aria-label": parts("close") }}>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (asked === undefined || reason.trim() === "") return;
            send(asked.row, asked.to, reason.trim());
            close();
          }}
        >
          <Stack gap="md">
            <Textarea label={t("reason")} description={t("reasonWhy")} autosize minRows={2} value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
            <Button type="submit" disabled={reason.trim() === ""}>
              {asked ? t("moveTo", { status: words(`incident.${asked.to}`) }) : ""}
            </Button>
          </Stack>
        </form>
      </Modal>
    ),
  };
}
