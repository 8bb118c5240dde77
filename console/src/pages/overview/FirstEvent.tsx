import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import type { Schema } from "~/api/client";
import { useAct } from "~/api/act";
import { send } from "~/api/send";
import { useMay, useSession } from "~/api/session";
import { copy } from "~/parts/copy";
import { Raw } from "~/parts/Raw";
import { toast } from "~/parts/Toasts";
import { Value } from "~/parts/Value";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./overview.module.css";

const DemoOffer = lazy(() => import("./DemoOffer"));

/** What the first event is told by: little enough to be read at a glance. */
const shown = ["program", "action", "user", "src_ip", "host", "source"];

/** The first steps: a token, a command, and the event that it sends, on this screen. */
export function FirstEvent() {
  const t = useText("overview");
  const parts = useText("parts");
  const act = useAct();
  const may = useMay("keys:write");
  const demo = useMay("settings:write");
  const { tenant } = useSession();
  const [token, setToken] = useState<string>();
  const arrived = useQuery({
    queryKey: ["overview", "first"],
    queryFn: ({ signal }) => send<Schema<"SearchResult">>({ method: "POST", url: "/api/v1/siem/search", body: { query: "NOT source:kyra", limit: 1 } }, signal),
    refetchInterval: (q) => (q.state.data && q.state.data.total > 0 ? false : 2_000),
  });
  const command = `curl ${window.location.origin}/ingest/hec/services/collector/raw -H "Authorization: Splunk ${token}" --data-binary "$(date '+%b %e %T') $(hostname) sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2"`;
  const event = arrived.data && arrived.data.total > 0 ? arrived.data.events[0] : undefined;
  const fields = event as Record<string, unknown> | undefined;
  return (
    <section className={css.first}>
      <h2>{t("firstTitle")}</h2>
      <p className="dim">{t("firstWhy")}</p>
      <ol className={css.steps}>
        <li data-done={token !== undefined || event !== undefined || undefined}>
          <h3>{t("firstStep1")}</h3>
          {token === undefined ? (
            <Button
              size="xs"
              disabled={!may}
              onClick={() => void act<{ token: string }>({ call: { method: "POST", url: "/api/v1/ingest-tokens", body: { name: "first event" } satisfies Schema<"CreateIngestTokenInBody"> }, done: t("firstShown"), renews: [] }).then((made) => made && setToken(made.token))}
            >
              {t("firstMake")}
            </Button>
          ) : (
            <code className={css.token}>{token}</code>
          )}
        </li>
        <li data-done={event !== undefined || undefined}>
          <h3>{t("firstStep2")}</h3>
          <p className="dim">{t("firstCommand")}</p>
          {token === undefined ? null : (
            <>
              <pre className={css.command} tabIndex={0} aria-label={t("copyCommand")}>
                {command}
              </pre>
              <Button size="xs" variant="default" onClick={() => void copy(command).then((ok) => ok && toast(parts("copied")))}>
                {t("copyCommand")}
              </Button>
            </>
          )}
        </li>
        <li data-done={event !== undefined || undefined}>
          <h3>{t("firstStep3")}</h3>
          <div role="status">
            {event && fields ? (
              <>
                <p>{t("firstHere")}</p>
                <div className={css.arrived}>
                  <Raw text={String(fields.raw ?? fields.message ?? "")} className="mono" />
                  <dl>
                    <dt>timestamp</dt>
                    <dd>
                      <Time at={String(fields.timestamp)} />
                    </dd>
                    {shown.map((f) => {
                      const v = fields[f] ?? (fields.fields as Record<string, unknown> | undefined)?.[f];
                      return v === undefined || v === "" ? null : (
                        <div key={f}>
                          <dt>{f}</dt>
                          <dd>
                            <Value field={f} value={String(v)} />
                          </dd>
                        </div>
                      );
                    })}
                  </dl>
                </div>
                <p>
                  <Link to="/search">{t("firstDone")} →</Link>
                </p>
                <p className="dim">
                  {t("firstNext")} <Link to={"/sources" as "/"} style={{ textDecoration: "underline" }}>{t("firstCollector")}</Link> · <Link to={"/settings/ingest" as "/"} style={{ textDecoration: "underline" }}>{t("firstOthers")}</Link>
                </p>
              </>
            ) : (
              <span className="dim">{t("firstWaiting")}</span>
            )}
          </div>
        </li>
      </ol>
      {demo && !tenant.demo ? (
        <Suspense fallback={null}>
          <DemoOffer />
        </Suspense>
      ) : null}
    </section>
  );
}
