import { useText } from "~/text/text";
import { both, duration, useNow } from "~/time/time";

import css from "./incidents.module.css";

/** How long is left until it is due, or how long ago that was; said in words, too. */
export function Due({ at, closedAt }: { at: string | undefined; closedAt?: string | null | undefined }) {
  const t = useText("incidents");
  const now = useNow(30_000);
  if (at === undefined) return null;
  const left = (Date.parse(at) - (closedAt ? Date.parse(closedAt) : now)) / 1000;
  const state = closedAt ? (left >= 0 ? "met" : "missed") : left < 0 ? "over" : left < 3600 ? "soon" : "fine";
  const rounded = Math.abs(left) >= 60 ? Math.round(Math.abs(left) / 60) * 60 : Math.abs(left);
  return (
    <span className={css.due} data-state={state} title={both(at)}>
      {state === "met" || state === "missed" ? t(`due.${state}`) : t(`due.${state}`, { time: duration(rounded) })}
    </span>
  );
}
