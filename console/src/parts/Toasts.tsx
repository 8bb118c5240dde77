import { CloseButton, UnstyledButton } from "@mantine/core";
import { IconAlertTriangle, IconCheck } from "@tabler/icons-react";
import { useEffect, useSyncExternalStore } from "react";

import { Problem } from "~/api/problem";
import { useText } from "~/text/text";

import { copy } from "./copy";
import css from "./toasts.module.css";

type Toast = { id: number; text: string; tone: "done" | "fault"; undo?: (() => void) | undefined; curl?: string | undefined; detail?: string | undefined; offline?: boolean };

let toasts: Toast[] = [];
let last = 0;
const watchers = new Set<() => void>();

function become(next: Toast[]) {
  toasts = next;
  for (const tell of watchers) tell();
}

/** Says what was done, with a way back where there is one. */
export function toast(text: string, more: { undo?: (() => void) | undefined; curl?: string | undefined } = {}): void {
  become([...toasts.slice(-3), { id: ++last, text, tone: "done", ...more }]);
}

/** Says what failed, why, and what helps. */
export function toastFault(text: string, error: unknown): void {
  const p = error instanceof Problem ? error : undefined;
  const offline = p?.status === 0;
  const detail = p ? [offline ? "" : p.title, p.remedy].filter(Boolean).join(": ") + (p.requestId ? ` (${p.requestId})` : "") : String(error);
  become([...toasts.slice(-3), { id: ++last, text, tone: "fault", detail, offline, curl: p?.curl }]);
}

/** Takes the last way back, for the key that does so. */
export function undoLast(): boolean {
  const t = toasts.findLast((t) => t.undo);
  t?.undo?.();
  if (t) close(t.id);
  return t !== undefined;
}

function close(id: number) {
  become(toasts.filter((t) => t.id !== id));
}

export function Toasts() {
  const list = useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => toasts,
  );
  const t = useText("parts");
  return (
    <div className={css.region} role="region" aria-label={t("notices")}>
      <div aria-live="polite" className={css.list}>
        {list.map((one) => (
          <One key={one.id} toast={one} />
        ))}
      </div>
    </div>
  );
}

function One({ toast }: { toast: Toast }) {
  const t = useText("parts");
  useEffect(() => {
    const timer = setTimeout(() => close(toast.id), toast.tone === "fault" ? 15_000 : 8_000);
    return () => clearTimeout(timer);
  }, [toast]);
  return (
    <div className={css.toast} data-tone={toast.tone}>
      {toast.tone === "done" ? <IconCheck size={16} aria-hidden /> : <IconAlertTriangle size={16} aria-hidden />}
      <div className={css.text}>
        <span>{toast.text}</span>
        {toast.offline ? <span className="dim">{t("unreachable")}</span> : null}
        {toast.detail ? <span className="dim">{toast.detail}</span> : null}
      </div>
      {toast.undo ? (
        <UnstyledButton
          className={css.act}
          onClick={() => {
            toast.undo?.();
            close(toast.id);
          }}
        >
          {t("undo")} <kbd>z</kbd>
        </UnstyledButton>
      ) : null}
      {toast.curl ? (
        <UnstyledButton className={css.act} onClick={() => copy(toast.curl!)} title={t("copyCurl")}>
          curl
        </UnstyledButton>
      ) : null}
      <CloseButton size="sm" aria-label={t("close")} onClick={() => close(toast.id)} />
    </div>
  );
}
