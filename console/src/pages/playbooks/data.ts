import type { Schema } from "~/api/client";

export type Row = Schema<"PlaybookItem">;
export type Detail = Schema<"PlaybookDetail">;
export type Run = Schema<"PlaybookRunItem">;
export type RunDetail = Schema<"PlaybookRunDetail">;

export const runStates = ["QUEUED", "RUNNING", "WAITING", "ASKING", "DONE", "FAILED", "DENIED", "CANCELLED"] as const;
export const runDots = { QUEUED: "todo", RUNNING: "doing", WAITING: "doing", ASKING: "warn", DONE: "good", FAILED: "bad", DENIED: "off", CANCELLED: "off", SKIPPED: "off", UNKNOWN: "warn" } as const;
