import { useQuery } from "@tanstack/react-query";

import { answer, client, type Schema } from "~/api/client";
import { useLanguage } from "~/text/text";
import { useStored } from "~/url/stored";

export type Framework = Schema<"FrameworkItem">;
export type Control = Schema<"ControlItem">;
export type Detail = Schema<"ControlDetail">;
export type Evidence = Schema<"ComplianceEvidence">;
export type Status = Control["status"];
export type Result = Control["checks"][number]["result"];
export type Profile = "core" | "full";

/** From what is well to what is not, as bars are drawn. */
export const statuses: Status[] = ["compliant", "partial", "nonCompliant", "notAssessed", "notApplicable"];
export const modes = ["auto", "assist", "manual"] as const;
export const statusDots = { compliant: "good", partial: "warn", nonCompliant: "bad", notAssessed: "todo", notApplicable: "off" } as const;
export const resultDots = { pass: "good", partial: "warn", fail: "bad", noData: "todo" } as const;

/** What titles and reasons are asked for in; titles are there in English and Korean. */
export function useTitles(): "en" | "ko" | "ja" {
  return useLanguage();
}

/** undefined: each framework as the settings say. */
export function useProfile(): [Profile | undefined, (next: Profile | undefined) => void] {
  const [kept, keep] = useStored<Profile | "">("complianceProfile", "");
  return [kept === "" ? undefined : kept, (next) => keep(next ?? "")];
}

export function useFrameworks(profile: Profile | undefined) {
  return useQuery({ queryKey: ["compliance", "frameworks", profile], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/frameworks", { params: { query: profile ? { profile } : {} }, signal })) as unknown as Promise<Framework[]>, staleTime: 30_000 });
}

/** What a check has measured, with its unit; shares are told in percent. */
export function measured(value: number, unit: string | null | undefined, language: string): string {
  return unit === "ratio" ? `${amount(Math.round(value * 100), language)} %` : `${amount(value, language)} ${unit ?? ""}`.trim();
}

/** A number as the language writes it, without digits that say nothing. */
export function amount(value: number, language: string): string {
  return value.toLocaleString(language, { maximumFractionDigits: 2 });
}
