import { Button, Modal } from "@mantine/core";
import { useSyncExternalStore } from "react";

import { useText } from "~/text/text";

type Question = { title: string; text: string; action: string; answer: (yes: boolean) => void };

let question: Question | undefined;
const watchers = new Set<() => void>();

function become(next: Question | undefined) {
  question = next;
  for (const tell of watchers) tell();
}

/** Asks before what leaves the house or cannot be undone: text says exactly what will happen. */
export function confirm(asked: { title: string; text: string; action: string }): Promise<boolean> {
  question?.answer(false);
  return new Promise((answer) => become({ ...asked, answer }));
}

/** Where questions appear; the frame holds it. */
export function Confirm() {
  const t = useText("parts");
  const q = useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => question,
  );
  const answer = (yes: boolean) => {
    q?.answer(yes);
    become(undefined);
  };
  // Above a form that asks before it sends.
  return (
    <Modal opened={q !== undefined} onClose={() => answer(false)} title={q?.title} zIndex={250} closeButtonProps={{ "aria-label": t("close") }}>
      <p>{q?.text}</p>
      <div style={{ display: "flex", justifyContent: "flex-end", gap: 8, marginTop: 16 }}>
        <Button variant="default" onClick={() => answer(false)}>
          {t("cancel")}
        </Button>
        <Button onClick={() => answer(true)} data-autofocus>
          {q?.action}
        </Button>
      </div>
    </Modal>
  );
}
