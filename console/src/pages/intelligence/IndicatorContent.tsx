import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { Facts, Rows } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Severity } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import { fieldOf } from "./Indicators";

/** One indicator: who says so, how long it holds, where it was seen here. */
export function IndicatorContent({ id, onGone }: { id: string; onGone: () => void }) {
  const t = useText("intelligence");
  const forms = useText("forms");
  const words = useText("words");
  const act = useAct();
  const may = useMay("intel:write");
  const q = useQuery({ queryKey: ["indicators", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/threat-intel-iocs/{id}", { params: { path: { id } }, signal })) });
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const i = q.data;
  if (!i) return <Loading rows={6} />;
  const url = `/api/v1/threat-intel-iocs/${id}`;
  return (
    <>
      <section>
        <h2 style={{ overflowWrap: "anywhere" }}>
          <Value field={fieldOf(i.type)} value={i.value} className="mono" />
        </h2>
        {may ? (
          <div style={{ display: "flex", flexWrap: "wrap", gap: 8, margin: "8px 0" }}>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => void act({ call: { method: "PATCH", url, body: { active: !i.active } }, undo: { method: "PATCH", url, body: { active: i.active } }, done: i.active ? forms("switchedOff") : forms("switchedOn"), renews: [["indicators"]] })}
            >
              {i.active ? forms("switchOff") : forms("switchOn")}
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => void act({ call: { method: "POST", url: "/api/v1/threat-intel-allowlist", body: { type: i.type, value: i.value } }, done: t("allowed"), renews: [["indicators"], ["allowed"]] })}>
              {t("allow")}
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() =>
                void confirm({ title: forms("delete"), text: t("deleteWhy"), action: forms("delete") }).then(async (yes) => {
                  if (!yes) return;
                  onGone();
                  await act({ call: { method: "DELETE", url }, done: forms("deleted"), renews: [["indicators"]] });
                })
              }
            >
              {forms("delete")}
            </Button>
          </div>
        ) : null}
        <Facts
          of={[
            [words("severity"), <Severity of={i.severity} />],
            [words("status"), <Pill dot={i.active ? "good" : "off"}>{i.active ? t("active") : t("inactive")}</Pill>],
            [t("type"), t(`type.${i.type}`)],
            [t("confidence"), String(i.confidence)],
            [words("source"), visible(i.source)],
            [t("tags"), i.tags.length > 0 ? visible(i.tags.join(", ")) : null],
            [t("description"), i.description ? visible(i.description) : null],
            [t("firstSeen"), <Time at={i.firstSeen} />],
            [t("lastSeen"), <Time at={i.lastSeen} />],
            [t("validUntil"), i.validUntil ? <Time at={i.validUntil} /> : t("open")],
            [words("created"), <><Time at={i.createdAt} /> · {visible(i.createdBy)}</>],
          ]}
        />
      </section>
      <Sightings id={id} />
    </>
  );
}

function Sightings({ id }: { id: string }) {
  const t = useText("intelligence");
  const words = useText("words");
  const language = useLanguage();
  const q = useQuery({ queryKey: ["indicators", id, "sightings"], queryFn: ({ signal }) => answer(client.GET("/api/v1/threat-intel-iocs/{id}/sightings", { params: { path: { id }, query: { size: 100 } as never }, signal })) });
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  if (!q.data) return null;
  return (
    <section>
      <h2>{t("sightingsN", { n: q.data.totalElements })}</h2>
      {q.data.content.length === 0 ? (
        <p className="dim">{t("noSightings")}</p>
      ) : (
        <Rows
          label={t("sightings")}
          head={[t("day"), words("entity"), t("field"), words("events"), t("lastSeen"), ""]}
          rows={q.data.content.map((s) => ({
            key: s.day + s.entity + s.field,
            cells: [s.day, <Value field="entity" value={s.entity} />, visible(s.field), s.events.toLocaleString(language), <Time at={s.lastSeen} />, s.alertId ? <Link to={`/alerts/${s.alertId}` as "/"}>{t("alert")}</Link> : null],
          }))}
        />
      )}
    </section>
  );
}
