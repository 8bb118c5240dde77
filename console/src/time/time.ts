import { useEffect, useState, useSyncExternalStore } from "react";

import { languageNow, type Language } from "~/text/text";

/** The zone in which times are written; UTC stands beside it. */
export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

let zone = typeof localStorage === "undefined" ? "UTC" : (localStorage.getItem("kyra.zone") ?? browserZone());
const watchers = new Set<() => void>();

export function zoneNow(): string {
  return zone;
}

export function setZone(next: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone: next });
  } catch {
    return; // the browser does not know it
  }
  zone = next;
  localStorage.setItem("kyra.zone", next);
  for (const tell of watchers) tell();
}

export function useZone(): string {
  return useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => zone,
  );
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  let f = formats.get(key);
  if (f === undefined) formats.set(key, (f = new Intl.DateTimeFormat(language, options)));
  return f;
}

/** 2026-04-22 17:15:00 in zone: the same order in every language, so that columns sort by eye. */
export function exact(time: string | number | Date, inZone: string = zone): string {
  const second = Math.floor(new Date(time).getTime() / 1000);
  const name = `${second} ${inZone}`;
  const known = written.get(name);
  if (known !== undefined) return known;
  const parts = format("en-CA", {
    timeZone: inZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  }).formatToParts(second * 1000);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  const text = `${part("year")}-${part("month")}-${part("day")} ${part("hour")}:${part("minute")}:${part("second")}`;
  if (written.size >= 2_000) written.clear();
  written.set(name, text);
  return text;
}

// Lines of a log often bear the same second.
const written = new Map<string, string>();

/** The exact time in the person's zone and in UTC, for where a time is explained. */
export function both(time: string | number | Date): string {
  return zone === "UTC" ? `${exact(time, "UTC")} UTC` : `${exact(time)} ${zone}\n${exact(time, "UTC")} UTC`;
}

/** 17:15:00, for lists where the day is plain. */
export function clock(time: string | number | Date, seconds = true): string {
  const text = exact(time).slice(11);
  return seconds ? text : text.slice(0, 5);
}

const steps: [limit: number, unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  [60, "second", 1], [3600, "minute", 60], [86_400, "hour", 3600], [7 * 86_400, "day", 86_400], [30 * 86_400, "week", 7 * 86_400], [365 * 86_400, "month", 30 * 86_400],
];

/** "5 min ago" in the person's language. */
export function relative(time: string | number | Date, now: number, language: Language = languageNow()): string {
  const seconds = Math.round((new Date(time).getTime() - now) / 1000);
  const [, unit, per] = steps.find(([limit]) => Math.abs(seconds) < limit) ?? [0, "year" as const, 365 * 86_400];
  return new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "auto" }).format(Math.trunc(seconds / per), unit);
}

/** "2 h 14 min": how long something took or is left; the two largest units. */
export function duration(seconds: number, language: Language = languageNow()): string {
  const whole = Math.abs(Math.round(seconds));
  const units: [number, string][] = [[Math.floor(whole / 86_400), "day"], [Math.floor(whole / 3600) % 24, "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
  const first = units.findIndex(([n]) => n > 0);
  const shown = first < 0 ? [units[3]!] : units.slice(first, first + 2).filter(([n]) => n > 0);
  return shown.map(([n, unit]) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(n)).join(" ");
}

const tickers = new Map<number, { listeners: Set<() => void>; timer: ReturnType<typeof setInterval> }>();

/** The present time, renewed every so many milliseconds: one timer for all who ask alike. */
export function useNow(every = 10_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    let t = tickers.get(every);
    if (t === undefined) {
      const listeners = new Set<() => void>();
      t = { listeners, timer: setInterval(() => listeners.forEach((tell) => tell()), every) };
      tickers.set(every, t);
    }
    const mine = t;
    const tell = () => setNow(Date.now());
    mine.listeners.add(tell);
    return () => {
      mine.listeners.delete(tell);
      if (mine.listeners.size === 0) {
        clearInterval(mine.timer);
        tickers.delete(every);
      }
    };
  }, [every]);
  return now;
}
