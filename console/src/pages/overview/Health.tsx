import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { answer, client, type Schema } from "~/api/client";
import { send } from "~/api/send";
import { Loading } from "~/parts/States";
import { useLanguage, useText } from "~/text/text";
import { relative, useNow } from "~/time/time";

import { leftOut, Section } from "./Overview";
import css from "./overview.module.css";

type Coverage = { rules: number; blindRules: number; techniques: number };
type Framework = { id: string; name: string; score: number; nonCompliant: number; lastEvaluatedAt: string | null };

/** What arrives, what is lost, which rules are blind: numbers above mean what these allow. */
export function Health() {
  const t = useText("overview");
  const language = useLanguage();
  const now = useNow(30_000);
  const slow = { staleTime: 30_000, refetchInterval: 60_000, retry: false } as const;
  const sources = useQuery({ ...slow, queryKey: ["overview", "sources"], queryFn: ({ signal }) => answer(client.GET("/api/v1/log-sources", { params: { query: { size: 100 } }, signal })) });
  const silent = useQuery({ ...slow, queryKey: ["overview", "silent"], queryFn: ({ signal }) => answer(client.GET("/api/v1/log-sources", { params: { query: { size: 1, status: ["silent", "collector_offline"] } as never }, signal })) });
  const ledger = useQuery({ ...slow, queryKey: ["overview", "ledger"], queryFn: ({ signal }) => answer(client.GET("/api/v1/ledger", { params: { query: { size: 1 } }, signal })) });
  const collectors = useQuery({ ...slow, queryKey: ["overview", "collectors"], queryFn: ({ signal }) => answer(client.GET("/api/v1/collectors", { signal })) });
  const coverage = useQuery({ ...slow, queryKey: ["overview", "coverage"], queryFn: ({ signal }) => send<Coverage>({ method: "GET", url: "/api/v1/siem/rules/coverage" }, signal) });
  const canary = useQuery({ ...slow, queryKey: ["overview", "canary"], queryFn: ({ signal }) => send<{ content: { sentAt: string; state: string }[]; sees: boolean }>({ method: "GET", url: "/api/v1/canary?size=1" }, signal) });
  const frameworks = useQuery({ ...slow, queryKey: ["overview", "frameworks"], queryFn: ({ signal }) => send<Framework[] | { content: Framework[] }>({ method: "GET", url: "/api/v1/compliance/frameworks" }, signal) });

  const rows: ReactNode[] = [];
  const row = (key: string, tone: "fine" | "warn" | "bad", label: string, to: string, facts: (string | false | undefined)[]) =>
    rows.push(
      <li key={key} data-tone={tone}>
        <i aria-hidden />
        <div>
          <Link to={to}>{label}</Link>
          {facts.filter(Boolean).map((f) => (
            <div key={f as string} className="dim">
              {f}
            </div>
          ))}
        </div>
      </li>,
    );
  if (sources.data) {
    const unread = sources.data.content.filter((s) => s.unparsedShare > 0.05).length;
    const quiet = silent.data?.totalElements ?? 0;
    row("sources", quiet > 0 ? "bad" : unread > 0 ? "warn" : "fine", t("sources"), "/sources", [t("sourcesAll", { n: sources.data.totalElements - quiet }), quiet > 0 && t("sourcesSilent", { n: quiet }), unread > 0 && t("unparsed", { n: unread })]);
  }
  if (ledger.data) {
    const totals = ledger.data.totals as Schema<"LedgerCounts">;
    row("ledger", ledger.data.unbalanced > 0 ? "bad" : totals.dropped + totals.quarantined > 0 ? "warn" : "fine", t("ledger"), "/sources", [
      ledger.data.unbalanced > 0 ? t("ledgerBad", { n: ledger.data.unbalanced }) : t("ledgerFine", { n: totals.received }),
      totals.dropped > 0 && t("dropped", { n: totals.dropped }),
      totals.quarantined > 0 && t("quarantined", { n: totals.quarantined }),
    ]);
  }
  if (coverage.data) {
    const { rules, blindRules, techniques } = coverage.data;
    row("rules", blindRules > rules ? "warn" : "fine", t("rules"), "/rules/coverage", [t("rulesSee", { n: rules, all: rules + blindRules }), blindRules > 0 && t("rulesBlind", { n: blindRules }), t("techniques", { n: techniques })]);
  }
  if (collectors.data) {
    const online = collectors.data.filter((c) => c.status === "online").length;
    row("collectors", online < collectors.data.length ? "bad" : "fine", t("collectors"), "/sources", [t("collectorsOnline", { n: online, all: collectors.data.length })]);
  }
  const probe = canary.data?.content[0];
  if (probe) row("canary", canary.data!.sees ? "fine" : "bad", t("canary"), "/sources", [canary.data!.sees ? t("canaryFine", { when: relative(probe.sentAt, now, language) }) : t("canaryLate")]);
  const list = Array.isArray(frameworks.data) ? frameworks.data : frameworks.data?.content;
  // The worst first: that is where a look helps.
  const scored = (list ?? []).filter((f) => f.lastEvaluatedAt !== null).sort((a, b) => a.score - b.score);
  if (scored.length > 0)
    row(
      "compliance",
      scored[0]!.score < 50 ? "bad" : scored.some((f) => f.nonCompliant > 0) ? "warn" : "fine",
      t("compliance"),
      "/compliance",
      scored.slice(0, 4).map((f) => `${f.name}: ${Math.round(f.score)}%${f.nonCompliant > 0 ? ` · ${t("complianceFails", { n: f.nonCompliant })}` : ""}`),
    );

  const all = [sources, ledger, coverage, collectors];
  if (all.every((q) => q.error && leftOut(q.error))) return null;
  return (
    <Section title={t("health")}>
      {rows.length === 0 ? <Loading rows={5} /> : null}
      <ul className={css.health}>{rows}</ul>
    </Section>
  );
}
