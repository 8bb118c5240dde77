/** What a piece of a rule's text is. */
export type Kind = "key" | "modifier" | "string" | "comment" | "word" | "number" | "mark" | "plain";
export type Piece = { kind: Kind; text: string };

const key = /^(\s*(?:- +)*)("[^"]*"|'[^']*'|[^\s#'"\-[{][^:#]*?|-[^\s:][^:#]*?)(:)(?=\s|$)/;
const condition = /\b(?:and|or|not|of|all|them|1)\b/gi;

const opensText = /^(\s*)((?:- +)*)(?:[^#]*:)?\s*[|>][-+\d]*\s*(?:#.*)?$/;

/** Which of the lines are a text that a | or > before them opens: nothing there is a key. */
export function proseOf(lines: readonly string[]): boolean[] {
  let under = -1; // the indentation of what opened it
  return lines.map((line) => {
    const indent = line.length - line.trimStart().length;
    if (under >= 0 && (line.trim() === "" || indent > under)) return true;
    const opens = opensText.exec(line);
    under = opens ? indent : -1;
    return false;
  });
}

/** Cuts one line of Sigma YAML into pieces; together they are the line again. */
export function piecesOf(line: string): Piece[] {
  const out: Piece[] = [];
  const put = (kind: Kind, text: string) => {
    if (text !== "") out.push({ kind, text });
  };
  let rest = line;
  const found = key.exec(line);
  if (found) {
    const [whole, lead, name, colon] = found as unknown as [string, string, string, string];
    put("mark", lead);
    const bar = name.indexOf("|");
    put("key", bar < 0 ? name : name.slice(0, bar));
    put("modifier", bar < 0 ? "" : name.slice(bar));
    put("mark", colon);
    rest = line.slice(whole.length);
    if (name === "condition") {
      words(rest, put);
      return out;
    }
  } else {
    const lead = /^\s*(?:- +)*/.exec(line)![0];
    put("mark", lead);
    rest = line.slice(lead.length);
  }
  value(rest, put);
  return out;
}

function value(text: string, put: (kind: Kind, text: string) => void) {
  const token = /^(\s+)|^("(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?)|^(#.*)/;
  let rest = text;
  let afterSpace = true;
  while (rest !== "") {
    const m = token.exec(rest);
    if (m?.[1]) {
      put("plain", m[1]);
      afterSpace = true;
      rest = rest.slice(m[1].length);
    } else if (m?.[2] && afterSpace) {
      put("string", m[2]);
      afterSpace = false;
      rest = rest.slice(m[2].length);
    } else if (m?.[3] && afterSpace) {
      put("comment", m[3]);
      return;
    } else {
      const plain = /^\S+/.exec(rest)![0];
      put(/^-?\d+(?:\.\d+)?[smhd]?$/.test(plain) ? "number" : /^(?:true|false|null)$/.test(plain) ? "word" : "plain", plain);
      afterSpace = false;
      rest = rest.slice(plain.length);
    }
  }
}

function words(text: string, put: (kind: Kind, text: string) => void) {
  let from = 0;
  for (const m of text.matchAll(condition)) {
    put("plain", text.slice(from, m.index));
    put("word", m[0]);
    from = m.index + m[0].length;
  }
  put("plain", text.slice(from));
}
