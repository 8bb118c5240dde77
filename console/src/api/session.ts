import { queryOptions, useSuspenseQuery } from "@tanstack/react-query";

import type { Schema } from "./client";
import { Problem } from "./problem";
import { queries } from "./queries";
import { send } from "./send";

/** Who is signed in, and what they may: rights are area:read and area:write. */
export type Session = Schema<"SessionBody">;

const path = "/api/v1/session";

/** null where nobody is signed in. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  staleTime: 60_000,
  queryFn: async (): Promise<Session | null> => {
    try {
      return await send<Session>({ method: "GET", url: path });
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return null;
      throw error;
    }
  },
});

export async function signIn(with_: { email: string; password: string; code?: string }): Promise<void> {
  await send({ method: "POST", url: path, body: with_ });
  queries.clear();
}

/** Signs in with a passkey: show asks the person's authenticator. */
export async function passkeySignIn(show: (options: unknown) => Promise<unknown>): Promise<void> {
  const asked = await send<{ token: string; publicKey: unknown }>({ method: "POST", url: `${path}/passkey/start` });
  const credential = await show(asked.publicKey);
  await send({ method: "POST", url: `${path}/passkey`, body: { token: asked.token, credential } });
  queries.clear();
}

/** Signs in with an identity provider's answer; returns where to go on. */
export async function finishSSO(answer: { slug: string; state: string; code: string; iss: string; error: string; errorDescription: string }): Promise<string> {
  const got = await send<{ to: string }>({ method: "POST", url: `${path}/sso`, body: answer });
  queries.clear();
  return got.to;
}

export async function signOut(): Promise<void> {
  await send({ method: "DELETE", url: path });
  queries.clear();
}

export async function setUp(with_: { token: string; name: string; email: string; password: string; tenantName?: string }): Promise<void> {
  await send({ method: "POST", url: "/api/v1/setup", body: with_ });
  queries.clear();
}

/** What calls are about from now on; everything that was read is forgotten. */
export async function switchTenant(tenantId: string): Promise<void> {
  const session = await send<Session>({ method: "PUT", url: `${path}/tenant`, body: { tenantId } });
  queries.clear();
  queries.setQueryData(sessionQuery.queryKey, session);
}

/** Keeps language, zone or theme with the account, so that it holds on other machines too. */
export function keepProfile(change: { language?: string; timeZone?: string; theme?: string }): void {
  // What this browser shows has changed already: a failure costs nothing but the copy.
  void send({ method: "PATCH", url: `${path}/user`, body: change }).catch(() => undefined);
}

/** The session of a page that is shown only to people who are signed in. */
export function useSession(): Session {
  const { data } = useSuspenseQuery(sessionQuery);
  if (data === null) throw new Problem({ status: 401, title: "signed out", remedy: "" });
  return data;
}

/** Tells whether the person may do what right names. */
export function useMay(right: string): boolean {
  return useSession().rights.includes(right);
}
