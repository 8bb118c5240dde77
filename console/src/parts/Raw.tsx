import { memo } from "react";

import { pieces } from "./visible";
import css from "./raw.module.css";

/** Text that came from outside: always shown as text, with hidden characters named. */
export const Raw = memo(function Raw({ text, className }: { text: string; className?: string }) {
  return (
    <bdi className={className}>
      {pieces(text).map((piece, i) =>
        piece.mark === undefined ? (
          piece.text
        ) : (
          <span key={i} className={css.mark} title={`U+${piece.text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`}>
            {piece.mark}
          </span>
        ),
      )}
    </bdi>
  );
});
