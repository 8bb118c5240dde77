import { Problem } from "~/api/problem";
import type { Translate } from "~/text/text";

const known = ["ssoNoRole", "ssoUnverified", "ssoUnknown", "ssoDisabled", "ssoDomain", "ssoDenied", "ssoLost", "ssoFailed", "ssoMissing", "ssoRequired"] as const;

/** The program's name of a refusal, such as "codeRequired". */
export function codeOf(error: unknown): string {
  return error instanceof Problem ? error.code || error.title : "";
}

/** A refused sign-in in the person's language. */
export function faultOf(t: Translate<"signin">, error: unknown): string {
  const code = known.find((k) => k === codeOf(error));
  if (code !== undefined) return t(code);
  if (error instanceof Problem && error.status === 429) return t("tooOften", { n: Math.max(1, error.retryAfter) });
  if (error instanceof Problem && error.status === 0) return t("unreachable");
  return error instanceof Problem ? `${error.title}: ${error.remedy}` : String(error);
}
