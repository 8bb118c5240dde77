import { useCallback } from "react";

import { useAct } from "~/api/act";
import { queries } from "~/api/queries";
import type { Call } from "~/api/send";
import { useSession } from "~/api/session";
import { useText } from "~/text/text";

import { changeCall, showAhead, type AlertRow, type Change } from "./data";

/** What can be done with alerts: one or many at a time, shown at once, with undo. */
export function useAlertActions() {
  const act = useAct();
  const t = useText("alerts");
  const words = useText("words");
  const { user } = useSession();
  const me = user.email || user.name;

  const change = useCallback(
    async (rows: AlertRow[], to: Change, done: string) => {
      if (rows.length === 0) return;
      const ids = rows.map((r) => r.id);
      await act({
        call: changeCall(ids, to),
        undo: undoOf(rows, to),
        done,
        renews: [["alerts"], ["incidents"], ["stats"]],
        ahead: () => showAhead(new Set(ids), to),
      });
    },
    [act],
  );

  return {
    me,
    assignToMe: (rows: AlertRow[]) => change(rows, { assignedTo: me }, t("assigned", { n: rows.length })),
    assign: (rows: AlertRow[], to: string | null) => change(rows, { assignedTo: to }, t(to === null ? "released" : "assignedTo", { n: rows.length, who: to ?? "" })),
    setStatus: (rows: AlertRow[], status: AlertRow["status"]) => change(rows, { status }, t("statusSet", { n: rows.length, status: words(`alert.${status}`) })),
    falsePositive: (rows: AlertRow[], note: string) => change(rows, { status: "FALSE_POSITIVE", verdict: "FALSE_POSITIVE", ...(note ? { note } : {}) }, t("falseSet", { n: rows.length })),
    resolve: (rows: AlertRow[], verdict: Change["verdict"], note: string) => change(rows, { status: "RESOLVED", ...(verdict ? { verdict } : {}), ...(note ? { note } : {}) }, t("statusSet", { n: rows.length, status: words("alert.RESOLVED") })),
    comment: (rows: AlertRow[], note: string) => change(rows, { note }, t("noted", { n: rows.length })),
    /** Makes an incident of the first and links the rest to it. Returns its id. */
    escalate: async (rows: AlertRow[]): Promise<string | undefined> => {
      const [first, ...rest] = rows;
      if (first === undefined) return undefined;
      const made = await act<{ id: string }>({ call: { method: "POST", url: `/api/v1/alerts/${first.id}/escalate` }, done: t("escalated"), renews: [["alerts"], ["incidents"], ["stats"]] });
      if (made && rest.length > 0)
        await act({ call: { method: "POST", url: `/api/v1/incidents/${made.id}/link`, body: { alertIds: rest.map((r) => r.id) } }, done: t("linked", { n: rest.length }), renews: [["alerts"], ["incidents"]] });
      return made?.id;
    },
    renew: () => queries.invalidateQueries({ queryKey: ["alerts"] }),
  };
}

/** The call that brings back what was, where all had the same before; a note stays in the history. */
function undoOf(rows: AlertRow[], to: Change): Call | undefined {
  const before = rows.map((r) => ({
    ...(to.status ? { status: r.status } : {}),
    ...("assignedTo" in to ? { assignedTo: r.triage?.assignedTo ?? null } : {}),
    ...("verdict" in to ? { verdict: (r.triage?.verdict ?? null) as Change["verdict"] } : {}),
  }));
  const first = before[0]!;
  if (Object.keys(first).length === 0 || before.some((b) => JSON.stringify(b) !== JSON.stringify(first))) return undefined;
  return changeCall(rows.map((r) => r.id), first as Change);
}
