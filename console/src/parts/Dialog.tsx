import { Button, Modal, Stack, TextInput } from "@mantine/core";
import { IconCopy } from "@tabler/icons-react";
import { useState, type ReactNode } from "react";

import { useText } from "~/text/text";

import { copy } from "./copy";
import { toast } from "./Toasts";

/** A form in a window of its own. It stays open, with what was written, until done is true. */
export function Dialog({ title, action, ready = true, wide = false, onClose, onSubmit, children }: { title: string; action: string; ready?: boolean; wide?: boolean; onClose: () => void; onSubmit: () => Promise<boolean>; children: ReactNode }) {
  const parts = useText("parts");
  const [busy, setBusy] = useState(false);
  return (
    <Modal opened onClose={onClose} closeOnEscape={!busy} title={title} size={wide ? "lg" : "md"} closeButtonProps={{ "aria-label": parts("close") }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (!ready || busy) return;
          setBusy(true);
          void onSubmit()
            .then((done) => done && onClose())
            .finally(() => setBusy(false));
        }}
      >
        <Stack gap="md">
          {children}
          <div style={{ display: "flex", justifyContent: "flex-end", gap: 8 }}>
            <Button variant="default" onClick={onClose}>
              {parts("cancel")}
            </Button>
            <Button type="submit" disabled={!ready} loading={busy}>
              {action}
            </Button>
          </div>
        </Stack>
      </form>
    </Modal>
  );
}

/** Something that is shown this once: a key, a secret, a link. */
export function Once({ title, why, value, onClose, children }: { title: string; why: string; value: string; onClose: () => void; children?: ReactNode }) {
  const parts = useText("parts");
  const t = useText("forms");
  return (
    <Modal opened onClose={onClose} title={title} size="lg" closeOnClickOutside={false} closeOnEscape={false} closeButtonProps={{ "aria-label": parts("close") }}>
      <Stack gap="md">
        <p style={{ margin: 0 }}>{why}</p>
        <div style={{ display: "flex", gap: 8, alignItems: "flex-end" }}>
          <TextInput readOnly style={{ flex: 1 }} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} aria-label={title} value={value} onFocus={(e) => e.currentTarget.select()} data-autofocus />
          <Button leftSection={<IconCopy size={14} aria-hidden />} onClick={() => void copy(value).then((ok) => ok && toast(parts("copied")))}>
            {parts("copy")}
          </Button>
        </div>
        {children}
        <div style={{ display: "flex", justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("kept")}
          </Button>
        </div>
      </Stack>
    </Modal>
  );
}
