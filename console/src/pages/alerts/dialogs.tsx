import { Button, Modal, Radio, Stack, Textarea, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";

import { Assignee } from "~/parts/Assignee";
import { useText } from "~/text/text";

type Ask<Answer> = { opened: boolean; onClose: () => void; onAnswer: (answer: Answer) => void };

const reasons = ["expected", "known", "rule", "data"] as const;

/** Why it is a false positive: keys 1 to 4 choose, Enter answers. */
export function FalseDialog({ opened, onClose, onAnswer }: Ask<string>) {
  const t = useText("alerts");
  return (
    <Modal opened={opened} onClose={onClose} title={t("falsePositive")} closeButtonProps={{ "aria-label": t("clearSelection") }}>
      {opened ? <FalseForm onAnswer={onAnswer} /> : null}
    </Modal>
  );
}

function FalseForm({ onAnswer }: { onAnswer: (note: string) => void }) {
  const t = useText("alerts");
  const [reason, setReason] = useState<string>("expected");
  const [note, setNote] = useState("");
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    onAnswer([t(`reason.${reason as (typeof reasons)[number]}`), note.trim()].filter(Boolean).join(". "));
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Radio.Group
          label={t("whyFalse")}
          value={reason}
          onChange={setReason}
          onKeyDown={(e) => {
            const chosen = reasons[Number(e.key) - 1];
            if (chosen) setReason(chosen);
            if (e.key === "Enter") submit(e);
          }}
        >
          <Stack gap={8} mt="xs">
            {reasons.map((r, i) => (
              <Radio key={r} value={r} label={`${i + 1}. ${t(`reason.${r}`)}`} data-autofocus={i === 0 || undefined} autoFocus={i === 0} />
            ))}
          </Stack>
        </Radio.Group>
        <TextInput label={t("noteOptional")} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
        <Button type="submit">{t("falsePositive")}</Button>
      </Stack>
    </form>
  );
}

export function NoteDialog({ opened, onClose, onAnswer }: Ask<string>) {
  const t = useText("alerts");
  const [note, setNote] = useState("");
  const submit = () => {
    if (note.trim() === "") return;
    onAnswer(note.trim());
    setNote("");
  };
  return (
    <Modal opened={opened} onClose={onClose} title={t("comment")} closeButtonProps={{ "aria-label": t("clearSelection") }}>
      <Stack gap="md">
        <Textarea
          aria-label={t("note")}
          placeholder={t("writeNote")}
          autosize
          minRows={3}
          maxRows={10}
          data-autofocus
          autoFocus
          value={note}
          onChange={(e) => setNote(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) submit();
          }}
        />
        <Button onClick={submit} disabled={note.trim() === ""}>
          {t("comment")} <kbd style={{ marginLeft: 8 }}>Ctrl ↵</kbd>
        </Button>
      </Stack>
    </Modal>
  );
}

export function AssignDialog({ opened, onClose, onAnswer }: Ask<string | null>) {
  const t = useText("alerts");
  const [who, setWho] = useState("");
  return (
    <Modal opened={opened} onClose={onClose} title={t("assign")} closeButtonProps={{ "aria-label": t("clearSelection") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          onAnswer(who.trim() === "" ? null : who.trim());
          setWho("");
        }}
      >
        <Stack gap="md">
          <Assignee description={t("chooseAssignee")} value={who} onChange={setWho} data-autofocus />
          <Button type="submit">{who.trim() === "" ? t("release") : t("apply")}</Button>
        </Stack>
      </form>
    </Modal>
  );
}
