import { curlOf } from "./curl";
import { Problem, problemOf } from "./problem";
import { noteRead } from "./reads";

/** A call that changes something, as it can be made, undone and written as curl. */
export type Call = { method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; url: string; body?: unknown; headers?: Record<string, string> };

/** Makes a call; every fault is thrown as a Problem. An empty answer is undefined. */
export async function send<T>(call: Call, signal?: AbortSignal): Promise<T> {
  const { method, url, body } = call;
  if (method === "GET" || url.endsWith("/siem/search")) noteRead(method, url, body);
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      credentials: "same-origin",
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...call.headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({ status: 0, title: "unreachable", remedy: "", curl: curlFor(call) });
  }
  const text = await response.text();
  let got: unknown;
  try {
    got = text === "" ? undefined : JSON.parse(text);
  } catch {
    got = undefined;
  }
  if (!response.ok) throw problemOf(response, got, curlFor(call));
  return got as T;
}

export function curlFor(call: Call): string {
  return curlOf(call.method, call.url, call.body);
}
