import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";

import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { Histogram } from "~/parts/Histogram";
import { rangeOf } from "~/parts/range";
import { Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { leftOut, Section } from "./Overview";

/** How many events came when; drawing over a part searches it. */
export function Trend() {
  const t = useText("overview");
  const url = useUrl();
  const navigate = useNavigate();
  const last = url.get("last");
  const from = url.get("from");
  const to = url.get("to");
  const range = useMemo(() => rangeOf({ get: (n) => ({ last, from, to })[n] }, "24h", Math.ceil(Date.now() / 60_000) * 60_000), [last, from, to]);
  const q = useQuery({
    queryKey: ["overview", "trend", range.from, range.to],
    staleTime: 60_000,
    queryFn: ({ signal }) => send<Schema<"SearchResult">>({ method: "POST", url: "/api/v1/siem/search", body: { query: "", limit: 1, fromTime: new Date(range.from).toISOString(), toTime: new Date(range.to).toISOString() } }, signal),
  });
  if (q.error && leftOut(q.error)) return null;
  return (
    <Section title={t("trend")} more={q.data ? <span className="dim">{t("events", { n: q.data.total })}</span> : null}>
      {q.isPending ? <Loading rows={4} /> : null}
      {q.error ? <Failed error={q.error} retry={() => void q.refetch()} /> : null}
      {q.data?.histogram ? (
        <Histogram bars={q.data.histogram} to={range.to} height={168} onZoom={(a, b) => void navigate({ to: "/search", search: { from: new Date(a).toISOString(), to: new Date(b).toISOString() } as never })} />
      ) : null}
    </Section>
  );
}
