import type { Schema } from "~/api/client";
import { problemOf } from "~/api/problem";

export type Rule = Schema<"RuleItem">;
export type Detail = Schema<"RuleDetail">;
export type Valid = Schema<"ValidateOutBody">;
export type Health = Rule["health"];

export const healths = ["failing", "blind", "noisy", "neverFired", "ok"] as const;
export const statuses = ["ACTIVE", "INACTIVE", "DRAFT"] as const;
export const severities = ["critical", "high", "medium", "low", "info"] as const;
export const healthDots = { failing: "bad", blind: "warn", noisy: "warn", neverFired: "todo", ok: "good" } as const;

/** Sends a rule's text as it is written, so that places in answers are those of the text. */
export async function sendYaml<T>(url: string, yaml: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(url, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/yaml" }, body: yaml, signal: signal ?? null });
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw problemOf(response, body, "");
  return body as T;
}

/** Where a new rule begins. */
export const example = `title: Sign-in as root over SSH
status: experimental
description: What it finds, and why that is odd.
author: ''
level: medium
tags:
  - attack.initial-access
  - attack.t1078
logsource:
  product: linux
  service: sshd
detection:
  selection:
    user: root
    message|contains: Accepted
  condition: selection
falsepositives:
  - Maintenance by the operators
`;

/** The text of a rule as one of the tenant's own: its id is given anew. */
export function withoutIds(yaml: string): string {
  return yaml.replace(/^id:.*\n/gm, "");
}
