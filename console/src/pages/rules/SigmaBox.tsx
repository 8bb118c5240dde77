import { memo, useRef } from "react";

import { visible } from "~/parts/visible";

import { piecesOf, proseOf } from "./highlight";
import css from "./rules.module.css";

export type Mark = { line: number; message: string };

/** A box for Sigma YAML: the text is a plain textarea, its colours lie behind it. Tab writes
 *  two spaces; Escape and then Tab leaves, as the description says. */
export function SigmaBox({ label, describedBy, value, readOnly = false, marks = [], onChange }: { label: string; describedBy?: string; value: string; readOnly?: boolean; marks?: Mark[]; onChange?: (text: string) => void }) {
  const free = useRef(false);
  const lines = value.split("\n");
  const prose = proseOf(lines);
  const wrong = new Map(marks.map((m) => [m.line, m.message]));
  return (
    <div className={css.code}>
      <div className={css.gutter} aria-hidden>
        {lines.map((_, i) => (
          <span key={i} data-wrong={wrong.has(i + 1) || undefined} title={wrong.has(i + 1) ? visible(wrong.get(i + 1)!) : undefined}>
            {i + 1}
          </span>
        ))}
      </div>
      <div className={css.sheet}>
        <pre className={css.painted} aria-hidden>
          {lines.map((line, i) => (
            <Line key={i} text={line} prose={prose[i]!} wrong={wrong.has(i + 1)} />
          ))}
        </pre>
        <textarea
          className={css.text}
          aria-label={label}
          aria-describedby={describedBy}
          aria-invalid={marks.length > 0 || undefined}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          wrap="off"
          readOnly={readOnly}
          value={value}
          onChange={(e) => onChange?.(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Escape") free.current = true;
            else if (e.key === "Tab" && !e.shiftKey && !readOnly && !free.current) {
              e.preventDefault();
              // Kept in the browser's own history of the box, so that Ctrl Z takes it back.
              document.execCommand("insertText", false, "  ");
            } else free.current = false;
          }}
          onBlur={() => (free.current = false)}
        />
      </div>
    </div>
  );
}

const Line = memo(function Line({ text, prose, wrong }: { text: string; prose: boolean; wrong: boolean }) {
  return (
    <span className={css.line} data-wrong={wrong || undefined}>
      {(prose ? [{ kind: "plain", text }] : piecesOf(text)).map((p, i) => (
        <i key={i} data-kind={p.kind}>
          {p.text}
        </i>
      ))}
      {"\n"}
    </span>
  );
});
