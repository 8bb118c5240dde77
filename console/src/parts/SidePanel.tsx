import { ActionIcon, Tooltip } from "@mantine/core";
import { IconArrowsDiagonal, IconX } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useRef, type ReactNode } from "react";

import { useKeys } from "~/keys/keys";
import { useText } from "~/text/text";
import { useStored } from "~/url/stored";

import css from "./sidepanel.module.css";

/** What was opened, beside the list that it came from. Its width is kept; Esc closes it. */
export function SidePanel({ label, page, onClose, actions, children }: { label: string; page?: string; onClose: () => void; actions?: ReactNode; children: ReactNode }) {
  const t = useText("parts");
  const [width, setWidth] = useStored("panel", 560);
  const panel = useRef<HTMLElement>(null);
  useKeys([{ keys: "Escape", label: t("keyBack"), group: t("keysList"), run: onClose }]);
  const resize = (to: number) => setWidth(Math.round(Math.max(400, Math.min(window.innerWidth - 480, to))));
  return (
    <aside ref={panel} className={css.panel} style={{ "--width": `${width}px` } as React.CSSProperties} aria-label={label}>
      <div
        className={css.edge}
        role="separator"
        aria-orientation="vertical"
        aria-label={t("resize")}
        aria-valuenow={width}
        aria-valuemin={400}
        aria-valuemax={1200}
        tabIndex={0}
        onKeyDown={(e) => {
          if (e.key === "ArrowLeft") resize(width + 40);
          if (e.key === "ArrowRight") resize(width - 40);
        }}
        onPointerDown={(e) => {
          const right = panel.current!.getBoundingClientRect().right;
          e.currentTarget.setPointerCapture(e.pointerId);
          const move = (m: PointerEvent) => resize(right - m.clientX);
          const target = e.currentTarget;
          target.addEventListener("pointermove", move);
          target.addEventListener("pointerup", () => target.removeEventListener("pointermove", move), { once: true });
        }}
      />
      <div className={css.bar}>
        <div className={css.actions}>{actions ?? <span className="dim">{label}</span>}</div>
        {page ? (
          <Tooltip label={t("fullPage")}>
            <ActionIcon renderRoot={(props) => <Link to={page} {...props} />} variant="subtle" color="gray" aria-label={t("fullPage")}>
              <IconArrowsDiagonal size={16} />
            </ActionIcon>
          </Tooltip>
        ) : null}
        <Tooltip label={`${t("close")} (Esc)`}>
          <ActionIcon variant="subtle" color="gray" aria-label={t("close")} onClick={onClose}>
            <IconX size={16} />
          </ActionIcon>
        </Tooltip>
      </div>
      <div className={css.content}>{children}</div>
    </aside>
  );
}
