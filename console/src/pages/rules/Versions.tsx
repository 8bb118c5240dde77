import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { Block, Rows } from "~/parts/Facts";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import type { Detail } from "./data";

/** How the text came to be: who changed what and why, and the way back. */
export function Versions({ of: rule, onRestored }: { of: Detail; onRestored: (yaml: string) => void }) {
  const t = useText("rules");
  const forms = useText("forms");
  const may = useMay("rules:write");
  const act = useAct();
  const [shown, setShown] = useState<number>();
  const q = useQuery({ queryKey: ["rules", rule.id, "versions"], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}/versions", { params: { path: { id: rule.id }, query: { size: 100 } }, signal })) });
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const restore = async (version: number) => {
    const got = await act<Detail>({ call: { method: "POST", url: `/api/v1/siem/rules/${rule.id}/versions/${version}/restore`, body: {} }, done: t("restored", { n: version }), renews: [["rules"]] });
    if (got) onRestored(got.yaml);
  };
  return (
    <>
      <Rows
        label={t("tab.versions")}
        head={[t("version"), t("at"), forms("by"), t("because"), ""]}
        rows={q.data.content.map((v) => ({
          key: String(v.version),
          cells: [
            v.version,
            <Time key="t" at={v.at} />,
            <Raw key="a" text={v.actor} />,
            <Raw key="r" text={v.reason || "–"} />,
            <span key="b" style={{ display: "flex", gap: 4 }}>
              <Button size="compact-xs" variant="default" aria-expanded={shown === v.version} onClick={() => setShown(shown === v.version ? undefined : v.version)}>
                {t("diff")}
              </Button>
              {may && v.version !== rule.version ? (
                <Button size="compact-xs" variant="default" onClick={() => void restore(v.version)}>
                  {t("restore")}
                </Button>
              ) : null}
            </span>,
          ],
        }))}
      />
      {shown === undefined ? null : <Diff rule={rule.id} version={shown} />}
    </>
  );
}

function Diff({ rule, version }: { rule: string; version: number }) {
  const t = useText("rules");
  const q = useQuery({ queryKey: ["rules", rule, "diff", version], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}/versions/{version}/diff", { params: { path: { id: rule, version: String(version) as never } }, signal })) });
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return <Block label={t("diff")} text={q.data.diff.split("\n").map(visible).join("\n") || t("same")} />;
}
