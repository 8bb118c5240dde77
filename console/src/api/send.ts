import { curlOf } from "./curl";
import { Problem, problemOf } from "./problem";
import { noteRead } from "./reads";

/** A call that changes something, as it can be made, undone and written as curl. */
export type Call = { method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; url: string; body?: unknown; headers?: Record<string, string> };

/** Makes a call; every fault is thrown as a Problem. An empty answer is undefined. */
export async function send<T>(call: Call, signal?: AbortSignal): Promise<T> {
  const { method, url, body } = call;
  if (method === "GET" || url.endsWith("/siem/search")) noteRead(method, url, body);
  const headers = { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...call.headers };
  return made<T>(url, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null }, curlFor(call));
}

/** Sends a file as it is, or in the field "file" of a form where no type is given. */
export async function sendFile<T>(url: string, file: File, type?: string): Promise<T> {
  if (type !== undefined) return made<T>(url, { method: "POST", headers: { "Content-Type": type }, body: file }, fileCurl(url, file, type));
  const form = new FormData();
  form.append("file", file);
  return made<T>(url, { method: "POST", body: form }, fileCurl(url, file));
}

async function made<T>(url: string, init: RequestInit, curl: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({ status: 0, title: "unreachable", remedy: "", curl });
  }
  const text = await response.text();
  let got: unknown;
  try {
    got = text === "" ? undefined : JSON.parse(text);
  } catch {
    got = undefined;
  }
  if (!response.ok) throw problemOf(response, got, curl);
  return got as T;
}

export function curlFor(call: Call): string {
  return curlOf(call.method, call.url, call.body);
}

/** The same for sendFile. */
export function fileCurl(url: string, file: File, type?: string): string {
  const name = file.name.replaceAll("'", "");
  const what = type === undefined ? `-F 'file=@${name}'` : `-H 'Content-Type: ${type}' --data-binary '@${name}'`;
  return `curl -X POST '${window.location.origin}${url}' -H "Authorization: Bearer $KEY" ${what}`;
}
