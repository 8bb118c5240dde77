const plain = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u;
const words = /^(and|or|not|to)$/i;

/** Writes field and value in the search language: quoted where it must be. */
export function term(field: string, value: string, out = false): string {
  const safe = plain.test(value) && !words.test(value);
  const text = safe ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return `${out ? "NOT " : ""}${field}:${text}`;
}

/** Adds a term to a query that may be empty or hold OR. */
export function narrow(query: string, more: string): string {
  const q = query.trim();
  if (q === "" || q === "*") return more;
  return `${/\bOR\b/.test(q) ? `(${q})` : q} AND ${more}`;
}
