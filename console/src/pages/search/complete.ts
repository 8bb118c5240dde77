/** What may stand at the place of writing: the part that is being written, and offers for it. */
export type Offers = { from: number; to: number; list: string[]; kind: "field" | "value" | "operator" };

type Known = { name: string; topValues: { value: string }[] };

const words = ["AND", "OR", "NOT"];

/** Completes names of fields, their frequent values after a colon, and operators after a clause. */
export function offersAt(query: string, at: number, fields: Known[]): Offers | undefined {
  const before = query.slice(0, at);
  const inQuotes = (before.match(/(?<!\\)"/g)?.length ?? 0) % 2 === 1;
  const value = /([\p{L}\p{N}_.@-]+):("?)([^\s()"]*)$/u.exec(before) ?? (inQuotes ? /([\p{L}\p{N}_.@-]+):(")([^"]*)$/u.exec(before) : null);
  if (value) {
    const [, name, , part] = value;
    const known = fields.find((f) => f.name === name);
    if (known === undefined) return undefined;
    const list = known.topValues.map((v) => v.value).filter((v) => v.toLowerCase().includes(part!.toLowerCase()) && v.length < 200);
    const from = at - part!.length - value[2]!.length;
    return list.length > 0 ? { from, to: at, list, kind: "value" } : undefined;
  }
  if (inQuotes) return undefined;
  const part = /[\p{L}\p{N}_.@-]*$/u.exec(before)![0];
  const from = at - part.length;
  const lower = part.toLowerCase();
  const names = fields.map((f) => f.name).filter((n) => n.toLowerCase().includes(lower));
  names.sort((a, b) => Number(b.toLowerCase().startsWith(lower)) - Number(a.toLowerCase().startsWith(lower)));
  if (part === "") {
    // After a whole clause an operator comes; at the beginning, a field.
    if (/[^\s(]\s$/.test(before) && !/\b(AND|OR|NOT)\s$/.test(before)) return { from, to: at, list: words, kind: "operator" };
    return names.length > 0 ? { from, to: at, list: names.slice(0, 12), kind: "field" } : undefined;
  }
  const list = [...names.slice(0, 12), ...words.filter((w) => w.startsWith(part.toUpperCase()) && part.length > 0)];
  return list.length > 0 && !(list.length === 1 && list[0] === part) ? { from, to: at, list, kind: "field" } : undefined;
}

/** Puts an offer into the query; returns it with the place of the cursor. */
export function take(query: string, offers: Offers, one: string): { query: string; at: number } {
  const quoted = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u.test(one) ? one : `"${one.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  const text = offers.kind === "value" ? `${quoted} ` : words.includes(one) ? `${one} ` : `${one}:`;
  return { query: query.slice(0, offers.from) + text + query.slice(offers.to), at: offers.from + text.length };
}
