import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { Facts, Rows } from "~/parts/Facts";
import { Raw } from "~/parts/Raw";
import { Severity, type SeverityName } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./assets.module.css";
import { Edit } from "./Edit";
import { Merge, Unmerge } from "./Merge";

const fields = { name: "host", alias: "host", ip: "ip", mac: "mac", guid: "host_id", agent: "agent_id", source: "source" } as const;

/** One machine: what it is, by which keys it is known, what is open on it, who uses it. */
export function AssetContent({ id }: { id: string }) {
  const t = useText("assets");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("assets:write");
  const q = useQuery({ queryKey: ["assets", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/assets/{id}", { params: { path: { id } }, signal })) });
  const [doing, setDoing] = useState<"edit" | "merge">();
  const [apart, setApart] = useState<string>();
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const a = q.data;
  if (!a) return <Loading rows={6} />;
  return (
    <>
      <section>
        <h2>
          <Raw text={a.name} />
        </h2>
        {may ? (
          <div className={css.buttons}>
            <Button size="compact-xs" variant="default" onClick={() => setDoing("edit")}>
              {forms("change")}
            </Button>
            {a.mergedInto === null ? (
              <Button size="compact-xs" variant="default" onClick={() => setDoing("merge")}>
                {t("merge")}
              </Button>
            ) : (
              <Button size="compact-xs" variant="default" onClick={() => setApart(a.id)}>
                {t("unmerge")}
              </Button>
            )}
          </div>
        ) : null}
        {a.mergedInto !== null ? (
          <p>
            {t("mergedInto")} <To page="/assets" id={a.mergedInto} text={t("thatAsset")} />
          </p>
        ) : null}
        {a.candidates.length > 0 ? (
          <p className="dim">
            {t("candidates")}{" "}
            {a.candidates.map((c, i) => (
              <span key={c}>
                {i > 0 ? ", " : ""}
                <To page="/assets" id={c} text={<span className="mono">{c.slice(0, 8)}</span>} />
              </span>
            ))}
          </p>
        ) : null}
        <Facts
          of={[
            [t("type"), t(`type.${a.type}`)],
            [t("criticality"), t(`criticality.${a.criticality}`)],
            [t("owner"), a.owner ? visible(a.owner) : null],
            [t("tags"), a.tags.length > 0 ? visible(a.tags.join(", ")) : null],
            [t("os"), a.os ? visible(a.os) : null],
            [t("logsFrom"), a.sources.length > 0 ? visible(a.sources.join(", ")) : null],
            [t("notes"), a.notes ? visible(a.notes) : null],
            [t("firstSeen"), <Time at={a.firstSeen} />],
            [t("lastSeen"), <Time at={a.lastSeen} />],
          ]}
        />
      </section>
      <section>
        <h2>{t("openAlertsN", { n: a.openAlerts })}</h2>
        {a.alerts.length > 0 ? (
          <Rows
            label={t("alerts")}
            head={[words("severity"), words("title"), words("created")]}
            rows={a.alerts.map((x) => ({
              key: x.id,
              cells: [
                <Severity of={x.severity as SeverityName} />,
                <Link to={`/alerts/${x.id}` as "/"}>
                  <Raw text={x.title} />
                </Link>,
                <Time at={x.createdAt} />,
              ],
            }))}
          />
        ) : null}
      </section>
      {a.identities.length > 0 ? (
        <section>
          <h2>{t("users")}</h2>
          <Rows label={t("users")} head={[t("user"), t("lastSeen")]} rows={a.identities.map((u) => ({ key: u.id, cells: [<To page="/identities" id={u.id} text={<Raw text={u.key} />} />, <Time at={u.lastSeen} />] }))} />
        </section>
      ) : null}
      <section>
        <h2>{t("keys")}</h2>
        <Rows
          label={t("keys")}
          head={[t("key"), t("value"), t("firstSeen"), t("lastSeen")]}
          rows={a.history.map((h) => ({ key: h.kind + h.value, cells: [t(`key.${h.kind}`), <Value field={fields[h.kind]} value={h.value} className="mono" />, <Time at={h.firstSeen} />, <Time at={h.lastSeen} />] }))}
        />
      </section>
      {a.merges.length > 0 ? (
        <section>
          <h2>{t("merges")}</h2>
          <Rows
            label={t("merges")}
            head={[t("asset"), t("reason"), forms("by"), words("time"), ""]}
            rows={a.merges.map((m) => ({
              key: m.id,
              cells: [
                <To page="/assets" id={m.asset} text={<span className="mono">{m.asset.slice(0, 8)}</span>} />,
                visible(m.reason),
                visible(m.actor),
                <Time at={m.at} />,
                m.undoneAt !== null ? (
                  t("undone")
                ) : may ? (
                  <Button size="compact-xs" variant="default" onClick={() => setApart(m.asset)}>
                    {t("unmerge")}
                  </Button>
                ) : null,
              ],
            }))}
          />
        </section>
      ) : null}
      {doing === "edit" ? <Edit of={a} onClose={() => setDoing(undefined)} /> : null}
      {doing === "merge" ? <Merge of={a} onClose={() => setDoing(undefined)} /> : null}
      {apart !== undefined ? <Unmerge id={apart} onClose={() => setApart(undefined)} /> : null}
    </>
  );
}

function To({ page, id, text }: { page: string; id: string; text: React.ReactNode }) {
  return (
    <Link to={page as "/"} search={{ open: id } as never}>
      {text}
    </Link>
  );
}
