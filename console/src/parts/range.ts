import type { Url } from "~/url/url";

/** Spans that end now. */
export const spans = ["15m", "1h", "4h", "24h", "7d", "30d", "90d"] as const;
export type Span = (typeof spans)[number];

/** Milliseconds since 1970; span where the range moves with time. */
export type Range = { from: number; to: number; span?: Span };

const units = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export function lengthOf(span: Span): number {
  return Number(span.slice(0, -1)) * units[span.slice(-1) as keyof typeof units];
}

/** What time the address asks for. */
export function rangeOf(url: Pick<Url, "get">, standard: Span, now: number): Range {
  const from = Date.parse(url.get("from") ?? "");
  const to = Date.parse(url.get("to") ?? "");
  if (from < to) return { from, to };
  const asked = url.get("last") as Span | undefined;
  const span = asked !== undefined && spans.includes(asked) ? asked : standard;
  return { from: now - lengthOf(span), to: now, span };
}

/** Reads "2026-04-22 17:15[:00]" as the zone's time, or a full RFC 3339 time. */
export function parseLocal(text: string, zone: string): number | undefined {
  const t = text.trim();
  if (/(Z|[+-]\d\d:\d\d)$/.test(t)) {
    const at = Date.parse(t);
    return Number.isNaN(at) ? undefined : at;
  }
  const m = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(t);
  if (m === null) return undefined;
  const [, y, mo, d, h = "0", mi = "0", s = "0"] = m;
  const asUTC = Date.UTC(+y!, +mo! - 1, +d!, +h, +mi, +s);
  if (new Date(asUTC).getUTCDate() !== +d!) return undefined; // 31 February
  // The zone's distance is taken twice: the first guess may lie across a change of clocks.
  let at = asUTC - offset(asUTC, zone);
  at = asUTC - offset(at, zone);
  return at;
}

function offset(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).formatToParts(at);
  const part = (type: string) => Number(parts.find((p) => p.type === type)!.value);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second")) - Math.floor(at / 1000) * 1000;
}
