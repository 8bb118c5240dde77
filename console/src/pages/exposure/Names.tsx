import { Button, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { useMay } from "~/api/session";
import type { Column } from "~/parts/DataTable";
import { Facts } from "~/parts/Facts";
import { FilterBar } from "~/parts/FilterBar";
import { Listing } from "~/parts/Listing";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useUrl } from "~/url/url";

type Row = Schema<"SubdomainItem">;
const states = ["new", "known", "ignored", "gone"] as const;
const sources = ["dns", "tls", "certificate", "http", "import", "check"] as const;
const dots = { new: "warn", known: "good", ignored: "off", gone: "off" } as const;
const filters = ["search", "state", "source", "problem", "domain"] as const;

/** Host names under own domains, with what is wrong about them. */
export function Names() {
  const t = useText("exposure");
  const words = useText("words");
  const url = useUrl();
  const query = Object.fromEntries(filters.filter((n) => url.get(n) !== undefined).map((n) => [n, n === "search" || n === "problem" ? url.get(n) : url.all(n)]));
  const list = usePages<Row>({ key: ["subdomains", "list", query], load: (page, signal) => answer(client.GET("/api/v1/subdomains", { params: { query: { ...query, size: 100, page } as never }, signal })) });
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: "name", header: t("name"), width: "minmax(180px, 1fr)", cell: (r) => <Value field="domain" value={r.name} /> },
      { id: "state", header: words("status"), width: "104px", cell: (r) => <Pill dot={dots[r.state]}>{t(`state.${r.state}`)}</Pill> },
      { id: "problem", header: t("problem"), width: "minmax(140px, 1fr)", from: 640, cell: (r) => (r.problem ? <Raw text={r.problem} /> : <span className="dim">–</span>) },
      { id: "address", header: t("addresses"), width: "160px", from: 820, cell: (r) => (r.addresses[0] === undefined ? <span className="dim">–</span> : <Value field="ip" value={r.addresses[0]} className="mono" />) },
      { id: "sources", header: t("shownBy"), width: "140px", from: 960, cell: (r) => <span className="dim">{r.sources.map((s) => t(`source.${s}`)).join(", ")}</span> },
      { id: "lastSeen", header: t("lastSeen"), width: "112px", align: "right", cell: (r) => <Time at={r.lastSeen} className="dim" /> },
    ],
    [t, words],
  );
  return (
    <>
      <FilterBar
        placeholder={t("findName")}
        facets={[
          { id: "state", label: words("status"), options: states.map((s) => ({ value: s, label: t(`state.${s}`) })) },
          { id: "problem", label: t("problem"), options: [{ value: "true", label: t("problemOnly") }] },
          { id: "source", label: t("shownBy"), options: sources.map((s) => ({ value: s, label: t(`source.${s}`) })) },
          { id: "domain", label: t("domain") },
        ]}
      />
      <Listing label={t("tab.names")} list={list} columns={columns} filters={filters} empty={{ title: t("noNames"), why: t("noNamesWhy") }} panel={(id) => <NameContent id={id} />} />
    </>
  );
}

function NameContent({ id }: { id: string }) {
  const t = useText("exposure");
  const forms = useText("forms");
  const parts = useText("parts");
  const words = useText("words");
  const act = useAct();
  const may = useMay("exposure:write");
  const q = useQuery({ queryKey: ["subdomains", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/subdomains/{id}", { params: { path: { id } }, signal })) });
  const [notes, setNotes] = useState<string>();
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const n = q.data;
  if (!n) return <Loading rows={6} />;
  const url = `/api/v1/subdomains/${id}`;
  const change = (body: object, undo: object) => act({ call: { method: "PATCH", url, body }, undo: { method: "PATCH", url, body: undo }, done: forms("saved"), renews: [["subdomains"]] });
  const c = n.check;
  return (
    <>
      <section>
        <h2>
          <Raw text={n.name} />
        </h2>
        {may ? (
          <div style={{ display: "flex", gap: 8, margin: "8px 0" }}>
            {(["known", "ignored"] as const)
              .filter((s) => s !== n.state)
              .map((s) => (
                <Button key={s} size="compact-xs" variant="default" onClick={() => void change({ state: s }, { state: n.state })}>
                  {t(`mark.${s}`)}
                </Button>
              ))}
          </div>
        ) : null}
        <Facts
          of={[
            [words("status"), <Pill dot={dots[n.state]}>{t(`state.${n.state}`)}</Pill>],
            [t("problem"), n.problem ? visible(n.problem) : null],
            [t("domain"), visible(n.domain)],
            [t("addresses"), n.addresses.length > 0 ? n.addresses.map((a) => <div key={a}><Value field="ip" value={a} className="mono" /></div>) : null],
            [t("shownBy"), n.sources.map((s) => t(`source.${s}`)).join(", ")],
            [t("firstSeen"), <Time at={n.firstSeen} />],
            [t("lastSeen"), <Time at={n.lastSeen} />],
            [t("changedBy"), n.updatedBy ? visible(n.updatedBy) : null],
          ]}
        />
      </section>
      {c ? (
        <section>
          <h2>{t("lastCheck")}</h2>
          <Facts
            of={[
              [words("time"), n.checkedAt ? <Time at={n.checkedAt} /> : null],
              [t("aliases"), c.aliases.length > 0 ? visible(c.aliases.join(" → ")) : null],
              [t("dangling"), c.dangling ? visible(c.dangling) : null],
              [t("fault"), c.error ? visible(c.error) : null],
              [t("certificate"), c.certificate ? visible(c.certificate.subject) : null],
              [t("issuer"), c.certificate ? visible(c.certificate.issuer) : null],
              [t("validUntil"), c.certificate ? <Time at={c.certificate.notAfter} /> : null],
              ["TLS", c.certificate ? visible(c.certificate.tlsVersion) : c.tlsError ? visible(c.tlsError) : null],
              ["HTTP", c.http ? visible([String(c.http.status), c.http.title, c.http.location].filter(Boolean).join(" · ")) : c.httpError ? visible(c.httpError) : null],
              ...Object.entries(c.http?.headers ?? {}).map(([k, v]) => [visible(k), visible(v)] as const),
            ]}
          />
        </section>
      ) : null}
      <section>
        <h2>{t("notes")}</h2>
        <Textarea aria-label={t("notes")} autosize minRows={2} maxRows={8} readOnly={!may} value={notes ?? n.notes} onChange={(e) => setNotes(e.currentTarget.value)} />
        {notes !== undefined && notes !== n.notes ? (
          <Button size="xs" style={{ marginTop: 8 }} onClick={() => void change({ notes }, { notes: n.notes }).then((done) => done !== undefined && setNotes(undefined))}>
            {parts("save")}
          </Button>
        ) : null}
      </section>
    </>
  );
}
