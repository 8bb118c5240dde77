import { useMemo } from "react";

import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { PageHead } from "~/frame/PageHead";
import type { Column } from "~/parts/DataTable";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

import { IdentityContent } from "./IdentityContent";

type Row = Schema<"IdentityItem">;
const types = ["human", "service", "machine", "built-in"] as const;
export const statuses = ["active", "watched", "disabled", "departed"] as const;
export const dots = { active: "good", watched: "warn", disabled: "off", departed: "off" } as const;
const single = ["search", "privileged", "dormant", "host"] as const;
const filters = ["search", "type", "status", "privileged", "dormant", "domain", "host"] as const;

/** The accounts that logs tell of: who may much, who sleeps, who fails to sign in. */
export default function Identities() {
  const t = useText("identities");
  const words = useText("words");
  const language = useLanguage();
  const url = useUrl();
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, single.some((s) => s === n) ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["identities", "list", query], load: (page, signal) => answer(client.GET("/api/v1/identities", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: t("identity"), width: "minmax(160px, 1fr)", cell: (r) => <Value field="user" value={r.name} /> },
      { id: "domain", header: t("domain"), width: "minmax(100px, 160px)", from: 820, cell: (r) => (r.domain ? visible(r.domain) : <span className="dim">–</span>) },
      { id: "type", header: t("type"), width: "96px", from: 640, cell: (r) => t(`type.${r.type}`) },
      { id: "status", header: words("status"), width: "112px", cell: (r) => <Pill dot={dots[r.status]}>{t(`status.${r.status}`)}</Pill> },
      {
        id: "privileged",
        header: t("privileged"),
        width: "160px",
        from: 640,
        cell: (r) => (
          <>
            {r.privileged ? <Pill dot="warn">{t("privileged")}</Pill> : null} {r.dormant ? <Pill dot="off">{t("dormant")}</Pill> : null}
          </>
        ),
      },
      { id: "failed", header: t("failed"), width: "168px", align: "right", from: 720, cell: (r) => (r.failedSignIns24h > 0 ? r.failedSignIns24h.toLocaleString(language) : <span className="dim">0</span>) },
      { id: "lastSignIn", header: t("lastSignIn"), width: "120px", align: "right", cell: (r) => (r.lastSignIn ? <Time at={r.lastSignIn} className="dim" /> : <span className="dim">–</span>) },
    ],
    [t, words, language],
  );
  return (
    <>
      <PageHead title={t("title")} />
      <FilterBar
        placeholder={t("find")}
        facets={[
          { id: "type", label: t("type"), options: types.map((x) => ({ value: x, label: t(`type.${x}`) })) },
          { id: "status", label: words("status"), options: statuses.map((s) => ({ value: s, label: t(`status.${s}`) })) },
          { id: "privileged", label: t("privileged"), options: [{ value: "true", label: t("privilegedOnly") }] },
          { id: "dormant", label: t("dormant"), options: [{ value: "true", label: t("dormantOnly") }] },
          { id: "domain", label: t("domain") },
          { id: "host", label: t("host") },
        ]}
      />
      <Listing label={t("title")} list={list} columns={columns} filters={filters} empty={{ title: t("none"), why: t("noneWhy") }} panel={(id) => <IdentityContent id={id} />} />
    </>
  );
}
