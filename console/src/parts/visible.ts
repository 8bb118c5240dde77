/** A piece of foreign text: what is plain, and what would act on the page or hide. */
export type Piece = { text: string; mark?: string };

const names: Record<number, string> = {
  0x1b: "ESC", 0x7f: "DEL", 0xad: "SHY", 0x61c: "ALM", 0x180e: "MVS",
  0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM", 0x2028: "LS", 0x2029: "PS",
  0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ",
  0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM",
};

const control = ["NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
  "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"];

// Control characters but tab and line feed, bidirectional controls, what has no width,
// tag characters, and halves of a pair that stand alone.
const acting =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

/** Cuts text from a log into pieces: marks name the characters that cannot be seen. */
export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(acting)) {
    if (found.index > from) out.push({ text: text.slice(from, found.index) });
    out.push({ text: found[0], mark: nameOf(found[0].codePointAt(0)!) });
    from = found.index + found[0].length;
  }
  if (from < text.length) out.push({ text: text.slice(from) });
  return out;
}

function nameOf(code: number): string {
  return names[code] ?? control[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The same as one text, for where no marks can be drawn: titles, labels, charts. */
export function visible(text: string): string {
  return text.replace(acting, (c) => `⟨${nameOf(c.codePointAt(0)!)}⟩`);
}
