/** Writes a call as a command for a shell; $KEY stands for an API key. */
export function curlOf(method: string, url: string, body?: unknown, origin: string = window.location.origin): string {
  const absolute = url.startsWith("/") ? origin + url : url;
  const parts = ["curl"];
  if (method !== "GET") parts.push("-X", method);
  parts.push(quote(absolute), "-H", '"Authorization: Bearer $KEY"');
  if (body !== undefined) parts.push("-H", "'Content-Type: application/json'", "-d", quote(typeof body === "string" ? body : JSON.stringify(body)));
  return parts.join(" ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
