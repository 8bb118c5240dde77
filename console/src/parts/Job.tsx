import { Button, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useText } from "~/text/text";

import { Pill } from "./Pill";
import { visible } from "./visible";

const dots = { QUEUED: "todo", RUNNING: "doing", DONE: "good", FAILED: "bad", CANCELLED: "off" } as const;

/** Long work of the server: how far it is, and the way to end it. onEnd is called once, when it has ended. */
export function Job({ id, label, onEnd }: { id: string; label: string; onEnd: () => void }) {
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const told = useRef(false);
  const q = useQuery({
    queryKey: ["jobs", id],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/jobs/{id}", { params: { path: { id } }, signal })),
    refetchInterval: (query) => (query.state.data && ["DONE", "FAILED", "CANCELLED"].includes(query.state.data.state) ? false : 1_000),
  });
  const job = q.data;
  const ended = q.error !== null || (job !== undefined && job.endedAt !== null);
  useEffect(() => {
    if (!ended || told.current) return;
    told.current = true;
    onEnd();
  }, [ended, onEnd]);
  if (job === undefined) return null;
  const { done, total, note } = job.progress;
  const share = total > 0 ? (100 * done) / total : job.state === "DONE" ? 100 : 0;
  return (
    <div role="status" style={{ display: "flex", gap: 12, alignItems: "center", padding: "8px 16px", borderBottom: "1px solid var(--line)", background: "var(--sunken)", fontSize: 13 }}>
      <span>{label}</span>
      <Pill dot={dots[job.state]}>{forms(`job.${job.state}`)}</Pill>
      <Progress value={share} aria-label={label} style={{ flex: 1, maxWidth: 320 }} transitionDuration={0} />
      <span className="dim" style={{ minWidth: 0, overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" }}>
        {total > 0 ? `${done} / ${total}` : ""} {visible(job.reason || note)}
      </span>
      {ended ? null : (
        <Button size="compact-xs" variant="default" disabled={job.cancelling} onClick={() => void act({ call: { method: "DELETE", url: `/api/v1/jobs/${id}` }, done: forms("job.CANCELLED"), renews: [["jobs", id]] })}>
          {parts("cancel")}
        </Button>
      )}
    </div>
  );
}
