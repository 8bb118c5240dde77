import { both, exact, relative, useNow, useZone } from "./time";

/** A time, relative to now, with the exact one in zone and UTC on hover. */
export function Time({ at, exactly = false, className }: { at: string; exactly?: boolean; className?: string }) {
  const now = useNow();
  useZone();
  return (
    <time dateTime={at} title={both(at)} className={className}>
      {exactly ? exact(at) : relative(at, now)}
    </time>
  );
}
