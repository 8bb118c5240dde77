import { Button, Menu } from "@mantine/core";
import { IconChevronDown, IconUserCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useChanges } from "~/api/changes";
import { queries } from "~/api/queries";
import { useMay, useSession } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { useKeys } from "~/keys/keys";
import { useTeam } from "~/parts/Assignee";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { Severity, SeverityMark } from "~/parts/Severity";
import { Failed, Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Comments } from "./Comments";
import { dots, statuses, titleOf, useIncident, type Incident } from "./data";
import { Due } from "./Due";
import { Evidence } from "./Evidence";
import css from "./incidents.module.css";
import { useMove } from "./move";
import { Tasks } from "./Tasks";
import { Timeline } from "./Timeline";

/** One case on one page: what it is, what was found, what is to be done, what was said. */
export default function CasePage() {
  const t = useText("incidents");
  const words = useText("words");
  const { id } = useParams({ strict: false }) as { id: string };
  const { data: incident, error, isPending, refetch } = useIncident(id);
  useChanges((changes) => {
    if (changes.some((c) => c.kind === "incident" && c.id === id)) void queries.invalidateQueries({ queryKey: ["incidents", "one", id] });
  });
  if (isPending) return <><PageHead title={t("title")} /><Loading rows={10} /></>;
  if (error) return <><PageHead title={t("title")} /><Failed error={error} retry={() => void refetch()} /></>;
  return (
    <>
      <PageHead title={titleOf(incident)} />
      <div className={css.case}>
        <Head incident={incident} />
        <div className={css.caseColumns}>
          <div className={css.caseMain}>
            <section>
              <h2>
                {t("alerts")} <span className="dim">{incident.alertCount}</span>
              </h2>
              <ul className={css.plain}>
                {incident.alerts.slice(0, 50).map((a) => (
                  <li key={a.id}>
                    <Link to={`/alerts/${a.id}`} className={css.alert}>
                      <SeverityMark of={a.severity} />
                      <Raw text={a.description || a.title} className={css.found} />
                      <Time at={a.createdAt} className="dim" />
                    </Link>
                  </li>
                ))}
              </ul>
              {incident.alertCount > 50 ? <p className="dim">{t("moreAlerts", { n: incident.alertCount - 50 })}</p> : null}
            </section>
            <Comments incident={incident} />
            <section>
              <h2>{t("timeline")}</h2>
              <Timeline incident={incident} />
            </section>
          </div>
          <div className={css.caseSide}>
            <Tasks incident={incident} />
            <section>
              <h2>{words("entities")}</h2>
              <ul className={css.entities}>
                {incident.entities.map((e) => (
                  <li key={e.field + e.value}>
                    <span className="dim">{e.field}</span> <Value field={e.field} value={e.value} />
                  </li>
                ))}
              </ul>
            </section>
            <Evidence incident={incident} />
            <Related id={incident.id} />
          </div>
        </div>
      </div>
    </>
  );
}

function Head({ incident }: { incident: Incident }) {
  const t = useText("incidents");
  const words = useText("words");
  const act = useAct();
  const { user } = useSession();
  const may = useMay("incidents:write");
  const { move, dialog } = useMove();
  const me = user.email;
  const team = useTeam();
  const assign = (to: string | null) =>
    void act({
      call: { method: "PATCH", url: `/api/v1/incidents/${incident.id}`, body: { assignedTo: to } },
      undo: { method: "PATCH", url: `/api/v1/incidents/${incident.id}`, body: { assignedTo: incident.assignedTo } },
      done: to === null ? t("released") : t("assigned", { who: to }),
      renews: [["incidents"]],
    });
  const next = statuses[statuses.indexOf(incident.status) + 1];
  useKeys(
    [
      { keys: "a", label: t("assignToMe"), group: t("title"), run: () => assign(me) },
      { keys: "s", label: t("nextStatus"), group: t("title"), run: () => next && move(incident, next) },
    ],
    { off: !may },
  );
  return (
    <header className={css.caseHead}>
      <div className={css.steps} role="group" aria-label={words("status")}>
        {statuses.map((s, i) => (
          <button key={s} type="button" className={css.step} disabled={!may} aria-pressed={s === incident.status} data-done={i < statuses.indexOf(incident.status) || undefined} onClick={() => move(incident, s)}>
            {words(`incident.${s}`)}
          </button>
        ))}
      </div>
      <div className={css.caseFacts}>
        <Severity of={incident.severity} />
        <Due at={incident.slaDueAt} closedAt={incident.closedAt} />
        <Menu>
          <Menu.Target>
            <Button size="compact-sm" variant="subtle" color="gray" disabled={!may} rightSection={<IconChevronDown size={12} aria-hidden />}>
              {incident.assignedTo ? <Raw text={incident.assignedTo} /> : words("unassigned")}
            </Button>
          </Menu.Target>
          <Menu.Dropdown mah="60vh" style={{ overflowY: "auto" }}>
            <Menu.Item leftSection={<IconUserCheck size={14} aria-hidden />} rightSection={<kbd>a</kbd>} onClick={() => assign(me)}>
              {t("assignToMe")}
            </Menu.Item>
            <Menu.Item onClick={() => assign(null)}>{t("release")}</Menu.Item>
            <Menu.Divider />
            <Menu.Label>{t("assignTo")}</Menu.Label>
            {(team.data?.members ?? [])
              .filter((m) => (m.role === "Admin" || m.role === "Analyst") && m.email !== me)
              .map((m) => (
                <Menu.Item key={m.id} onClick={() => assign(m.email)}>
                  {visible(m.name)} <span className="dim">{m.email}</span>
                </Menu.Item>
              ))}
          </Menu.Dropdown>
        </Menu>
        <span className="dim">
          {t("origin", { origin: t(`origin.${incident.origin}`) })} · <Time at={incident.createdAt} />
        </span>
        {incident.mergedInto ? <Link to={`/incidents/${incident.mergedInto}`}>{t("mergedInto")}</Link> : null}
      </div>
      {dialog}
    </header>
  );
}

/** Other cases that share entities with this one. */
function Related({ id }: { id: string }) {
  const t = useText("incidents");
  const words = useText("words");
  const q = useQuery({ queryKey: ["incidents", "related", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/incidents/{id}/related", { params: { path: { id } }, signal })), staleTime: 30_000 });
  if (!q.data || q.data.length === 0) return null;
  return (
    <section>
      <h2>{t("related")}</h2>
      <ul className={css.plain}>
        {q.data.slice(0, 8).map((r) => (
          <li key={r.incident.id}>
            <Link to={`/incidents/${r.incident.id}`} className={css.alert}>
              <SeverityMark of={r.incident.severity} />
              <Raw text={titleOf(r.incident)} className={css.found} />
              <Pill dot={dots[r.incident.status]}>{words(`incident.${r.incident.status}`)}</Pill>
            </Link>
            <div className={css.shared}>
              {r.shared.slice(0, 4).map((e) => (
                <Value key={e.field + e.value} field={e.field} value={e.value} />
              ))}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
