import type { StoredEvent } from "./data";

const first = ["timestamp", "severity", "source", "host", "message"];

/** Writes events as CSV (RFC 4180) with a column for each field that occurs. What a
 *  spreadsheet would take for a formula gets an apostrophe in front. */
export function csvOf(events: StoredEvent[]): string {
  const names = new Set<string>();
  for (const e of events) for (const name of Object.keys(e.fields)) if (!first.includes(name)) names.add(name);
  const columns = [...first, ...[...names].sort()];
  const lines = [["id", ...columns].map(cell).join(",")];
  for (const e of events) {
    const fields = e.fields as Record<string, string | string[]>;
    const own: Record<string, string> = { timestamp: e.timestamp, severity: e.severity, source: e.source, host: e.host, message: e.message };
    lines.push([e.id, ...columns.map((name) => own[name] ?? textOf(fields[name]))].map(cell).join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}

function textOf(value: string | string[] | undefined): string {
  return value === undefined ? "" : Array.isArray(value) ? value.join("; ") : String(value);
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
