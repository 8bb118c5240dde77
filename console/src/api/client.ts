import createClient, { type Middleware } from "openapi-fetch";

import { curlOf } from "./curl";
import { Problem, problemOf } from "./problem";
import { noteRead } from "./reads";
import type { components, paths } from "./schema";

/** A type of the API's document by its name. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

const listeners = new Set<() => void>();

/** Calls back when the server says that nobody is signed in any more. */
export function onSignedOut(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const faults: Middleware = {
  async onResponse({ request, response }) {
    if (response.ok || response.status === 304) return response;
    const path = new URL(request.url).pathname;
    if (response.status === 401 && path !== "/api/v1/session") for (const tell of listeners) tell();
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => undefined);
    throw problemOf(response, body, await commandFor(request));
  },
  async onError({ request, error }) {
    if (error instanceof Problem || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new Problem({ status: 0, title: "unreachable", remedy: "", curl: await commandFor(request) });
  },
};

const sent = new WeakMap<Request, string>();

const remember: Middleware = {
  async onRequest({ request }) {
    if (request.method !== "GET" && request.headers.get("Content-Type")?.startsWith("application/json")) {
      sent.set(request, await request.clone().text());
    }
    if (request.method === "GET") noteRead("GET", request.url);
    return request;
  },
};

async function commandFor(request: Request): Promise<string> {
  return curlOf(request.method, request.url, sent.get(request));
}

/** The client of the REST API. Every fault is thrown as a Problem. */
export const client = createClient<paths>({ baseUrl: "", credentials: "same-origin", querySerializer: { array: { style: "form", explode: true } } });
client.use(remember, faults);

/** Unwraps an answer: faults have been thrown already. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data } = await call;
  return data as T;
}
