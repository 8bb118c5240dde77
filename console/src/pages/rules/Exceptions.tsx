import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { Rows } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Empty, Failed, Loading } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

/** What the rule leaves out, why, for how long, and how often that was used. */
export function Exceptions({ rule }: { rule: string }) {
  const t = useText("rules");
  const forms = useText("forms");
  const language = useLanguage();
  const may = useMay("rules:write");
  const act = useAct();
  const q = useQuery({ queryKey: ["rules", rule, "exceptions"], queryFn: ({ signal }) => answer(client.GET("/api/v1/siem/rules/{id}/exceptions", { params: { path: { id: rule }, query: { size: 100 } }, signal })) });
  if (q.isPending) return <Loading />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  if (q.data.content.length === 0) return <Empty title={t("exceptionsNone")}>{t("exceptionsWhy")}</Empty>;
  return (
    <Rows
      label={t("tab.exceptions")}
      head={[t("leaves"), t("because"), t("state"), t("used"), forms("expires"), ""]}
      rows={q.data.content.map((x) => ({
        key: x.id,
        cells: [
          <Raw key="s" className="mono" text={x.scope.filter ?? (x.scope.entity ? `${x.scope.entity.field ?? x.scope.entity.type ?? ""}: ${x.scope.entity.value}` : Object.entries(x.scope.fields ?? {}).map(([k, v]) => `${k}: ${(v ?? []).join(", ")}`).join("; "))} />,
          <Raw key="r" text={x.reason} />,
          <Pill key="p" dot={x.state === "active" ? "good" : "off"}>{t(`exception.${x.state}`)}</Pill>,
          x.hits.toLocaleString(language),
          x.expiresAt ? <Time key="t" at={x.expiresAt} /> : forms("never"),
          may && x.state === "active" ? (
            <Button
              key="b"
              size="compact-xs"
              variant="default"
              onClick={() => void act({ call: { method: "PATCH", url: `/api/v1/siem/exceptions/${x.id}`, body: { expiresAt: new Date().toISOString() } }, undo: { method: "PATCH", url: `/api/v1/siem/exceptions/${x.id}`, body: { expiresAt: x.expiresAt } }, done: t("ended"), renews: [["rules"]] })}
            >
              {t("end")}
            </Button>
          ) : null,
        ],
      }))}
    />
  );
}
