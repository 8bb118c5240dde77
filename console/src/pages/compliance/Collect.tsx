import { Button } from "@mantine/core";
import { useCallback } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { useMay } from "~/api/session";
import { Job } from "~/parts/Job";
import { useText } from "~/text/text";
import { useStored } from "~/url/stored";

/** Evaluates checks now. The work is remembered, so that its progress is there after a look elsewhere. */
export function useCollect(framework?: string) {
  const t = useText("compliance");
  const may = useMay("compliance:write");
  const act = useAct();
  const [job, setJob] = useStored<string>("collectJob", "");
  const onEnd = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ["compliance"] });
    setTimeout(() => setJob(""), 4_000);
  }, [setJob]);
  return {
    button: may ? (
      <Button
        size="xs"
        variant="default"
        disabled={job !== ""}
        onClick={() => void act<Schema<"JobDetail">>({ call: { method: "POST", url: "/api/v1/compliance/evidence/collect", body: framework ? { frameworks: [framework] } : {} }, done: t("collecting"), renews: [] }).then((got) => got && setJob(got.id))}
      >
        {t("collect")}
      </Button>
    ) : null,
    progress: job === "" ? null : <Job key={job} id={job} label={t("collect")} onEnd={onEnd} />,
  };
}
