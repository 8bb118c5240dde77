import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { Schema } from "~/api/client";
import { useAct } from "~/api/act";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { copy } from "~/parts/copy";
import { toast } from "~/parts/Toasts";
import { useText } from "~/text/text";

import css from "./overview.module.css";

/** The first steps: a token, a command, and the event that it sends. */
export function FirstEvent() {
  const t = useText("overview");
  const parts = useText("parts");
  const act = useAct();
  const may = useMay("keys:write");
  const [token, setToken] = useState<string>();
  const arrived = useQuery({
    queryKey: ["overview", "first"],
    enabled: token !== undefined,
    refetchInterval: 2_000,
    queryFn: ({ signal }) => send<Schema<"SearchResult">>({ method: "POST", url: "/api/v1/siem/search", body: { query: "", limit: 1 } }, signal),
  });
  const command = `curl ${window.location.origin}/ingest/hec/services/collector/raw -H "Authorization: Splunk ${token}" --data-binary "$(date '+%b %e %T') $(hostname) sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2"`;
  return (
    <section className={css.first}>
      <h2>{t("firstTitle")}</h2>
      <p className="dim">{t("firstWhy")}</p>
      {token === undefined ? (
        <Button
          size="sm"
          disabled={!may}
          onClick={() => void act<{ token: string }>({ call: { method: "POST", url: "/api/v1/ingest-tokens", body: { name: "first event" } satisfies Schema<"CreateIngestTokenInBody"> }, done: t("firstShown"), renews: [] }).then((made) => made && setToken(made.token))}
        >
          {t("firstMake")}
        </Button>
      ) : (
        <>
          <p>{t("firstCommand")}</p>
          <pre className={css.command} tabIndex={0}>
            {command}
          </pre>
          <div className={css.firstActs}>
            <Button size="xs" variant="default" onClick={() => void copy(command).then(() => toast(parts("copied")))}>
              {t("copyCommand")}
            </Button>
            <span role="status">{arrived.data && arrived.data.total > 0 ? <Link to="/search">{t("firstDone")} →</Link> : <span className="dim">{t("firstWaiting")}</span>}</span>
          </div>
        </>
      )}
    </section>
  );
}
