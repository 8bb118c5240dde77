import { exact, useZone } from "~/time/time";

import css from "./strip.module.css";

/** A small timeline: how many of times fall into each part between from and to. */
export function Strip({ times, from, to, bins = 48, height = 36 }: { times: number[]; from: number; to: number; bins?: number; height?: number }) {
  useZone();
  const span = Math.max(1, to - from);
  const counts = new Array<number>(bins).fill(0);
  for (const at of times) counts[Math.max(0, Math.min(bins - 1, Math.floor(((at - from) / span) * bins)))]!++;
  const most = Math.max(1, ...counts);
  return (
    <div className={css.strip}>
      <svg viewBox={`0 0 ${bins * 4} ${height}`} preserveAspectRatio="none" height={height} width="100%" aria-hidden>
        <line x1="0" x2={bins * 4} y1={height - 0.5} y2={height - 0.5} className={css.ground} />
        {counts.map((n, i) => {
          const h = n === 0 ? 0 : Math.max(3, (n / most) * (height - 4));
          return n === 0 ? null : <rect key={i} x={i * 4 + 0.5} width="3" y={height - h} height={h} className={css.bar} />;
        })}
      </svg>
      <div className={css.ends}>
        <time dateTime={new Date(from).toISOString()}>{exact(from)}</time>
        {to - from >= 1000 ? <time dateTime={new Date(to).toISOString()}>{exact(to)}</time> : null}
      </div>
    </div>
  );
}
