import { memo } from "react";

import { useText } from "~/text/text";

import css from "./severity.module.css";

export const severities = ["critical", "high", "medium", "low", "info"] as const;
export type SeverityName = (typeof severities)[number];

/** From strong to quiet: it can be told without colour by how much of it is filled. */
export const SeverityMark = memo(function SeverityMark({ of }: { of: SeverityName }) {
  const filled = { critical: 4, high: 3, medium: 2, low: 1, info: 0 }[of];
  return (
    <svg className={css.mark} data-severity={of} width="14" height="14" viewBox="0 0 14 14" aria-hidden>
      {of === "critical" ? (
        <>
          <rect width="14" height="14" rx="3.5" className={css.on} />
          <path d="M7 3v5M7 10v1" className={css.sign} />
        </>
      ) : (
        [0, 1, 2].map((i) => <rect key={i} x={1 + i * 4.5} y={8 - i * 3} width="3" height={5 + i * 3} rx="1" className={i < filled ? css.on : css.off} />)
      )}
    </svg>
  );
});

/** Mark and word. */
export function Severity({ of, bare = false }: { of: SeverityName; bare?: boolean }) {
  const t = useText("words");
  return (
    <span className={css.severity} title={bare ? t(`severity.${of}`) : undefined}>
      <SeverityMark of={of} />
      <span className={bare ? "hidden" : undefined}>{t(`severity.${of}`)}</span>
    </span>
  );
}
