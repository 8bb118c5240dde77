/** Tells whether this browser has passkeys at all. */
export function passkeysWork(): boolean {
  return typeof window !== "undefined" && "PublicKeyCredential" in window && "credentials" in navigator;
}

type Json = Record<string, unknown>;

const bytesOf = (text: string) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const textOf = (bytes: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

// Browsers from before WebAuthn Level 3 have neither parse…FromJSON nor toJSON.
const ids = (list: unknown) => (Array.isArray(list) ? (list as Json[]) : []).map((c) => ({ ...c, id: bytesOf(c.id as string) }));

function creation(options: Json): PublicKeyCredentialCreationOptions {
  if (typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function") return PublicKeyCredential.parseCreationOptionsFromJSON(options as unknown as PublicKeyCredentialCreationOptionsJSON);
  const user = options.user as Json;
  return { ...options, challenge: bytesOf(options.challenge as string), user: { ...user, id: bytesOf(user.id as string) }, excludeCredentials: ids(options.excludeCredentials) } as unknown as PublicKeyCredentialCreationOptions;
}

function request(options: Json): PublicKeyCredentialRequestOptions {
  if (typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function") return PublicKeyCredential.parseRequestOptionsFromJSON(options as unknown as PublicKeyCredentialRequestOptionsJSON);
  return { ...options, challenge: bytesOf(options.challenge as string), allowCredentials: ids(options.allowCredentials) } as unknown as PublicKeyCredentialRequestOptions;
}

function answerOf(credential: Credential | null): unknown {
  if (credential === null) throw new DOMException("", "NotAllowedError");
  const c = credential as PublicKeyCredential;
  if (typeof c.toJSON === "function") return c.toJSON();
  const response: Json = {};
  for (const key of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    const value = (c.response as unknown as Json)[key];
    if (value instanceof ArrayBuffer) response[key] = textOf(value);
  }
  return { id: c.id, rawId: textOf(c.rawId), type: c.type, response, clientExtensionResults: c.getClientExtensionResults() };
}

/** Has the person's authenticator make a key; the answer goes to the server. */
export async function makePasskey(options: unknown): Promise<unknown> {
  return answerOf(await navigator.credentials.create({ publicKey: creation(options as Json) }));
}

/** Has the person's authenticator sign; the answer goes to the server. */
export async function showPasskey(options: unknown): Promise<unknown> {
  return answerOf(await navigator.credentials.get({ publicKey: request(options as Json) }));
}

/** The person closed the authenticator's window, or it waited too long: nothing is wrong. */
export function turnedAway(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError");
}
