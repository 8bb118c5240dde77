import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client } from "~/api/client";
import { useMay } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { Facts } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Attest, Except } from "./Attest";
import css from "./compliance.module.css";
import { measured, resultDots, statusDots, useTitles, type Detail } from "./data";

/** Why a control stands as it does: status and reason, then each check with value, threshold and evidence. */
export function ControlContent({ framework, id }: { framework: string; id: string }) {
  const t = useText("compliance");
  const lang = useTitles();
  const may = useMay("compliance:write");
  const [asked, setAsked] = useState<"attest" | "except">();
  const q = useQuery({ queryKey: ["compliance", framework, "control", id, lang], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/{framework}/controls/{control}", { params: { path: { framework, control: id }, query: { lang } }, signal })) as Promise<Detail> });
  if (q.isPending) return <Loading rows={8} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const c = q.data;
  return (
    <>
      <header className={css.controlHead}>
        <span className="dim">
          {c.domain} {c.domainTitle}
        </span>
        <h2>
          <span className="mono">{c.id}</span> {c.title}
        </h2>
        <div className={css.line}>
          <Pill dot={statusDots[c.status]}>{t(`status.${c.status}`)}</Pill>
          <span>{t(`mode.${c.mode}`)}</span>
          {c.statusSince ? (
            <span className="dim">
              {t("since")} <Time at={c.statusSince} />
            </span>
          ) : null}
          {c.stale ? <span className={css.warn}>{t("stale")}</span> : null}
        </div>
        <p>{visible(c.statusReason)}</p>
        {may ? (
          <div className={css.line}>
            <Button size="xs" variant={c.readyToAttest ? "filled" : "default"} onClick={() => setAsked("attest")}>
              {t("attest")}
            </Button>
            {c.checks.length > 0 ? (
              <Button size="xs" variant="default" onClick={() => setAsked("except")}>
                {t("except")}
              </Button>
            ) : null}
          </div>
        ) : null}
      </header>
      <Words c={c} may={may} />
      <section>
        <h2>{t("checks")}</h2>
        {c.checks.length === 0 ? <p className="dim">{t("noChecks")}</p> : null}
        <ul className={css.checks}>
          {c.checks.map((k) => (
            <Check key={k.variant} k={k} asked={c.asked.find((a) => a.id === k.id)} />
          ))}
        </ul>
      </section>
      <Facts
        of={[
          [t("owner"), c.owner ? visible(c.owner) : null],
          [t("justification"), visible(c.justification)],
          [t("notes"), visible(c.notes)],
          [
            t("sameEvidence"),
            Object.keys(c.sameEvidence).length > 0 ? (
              <span className={css.chips}>
                {Object.entries(c.sameEvidence).map(([f, ids]) => (
                  <span key={f}>
                    <Link to={`/compliance/framework/${f}` as "/"}>{f}</Link> <span className="dim">{(ids ?? []).join(", ")}</span>
                  </span>
                ))}
              </span>
            ) : null,
          ],
        ]}
      />
      {c.changes.length > 0 ? (
        <section>
          <h2>{t("changes")}</h2>
          <ul className={css.changes}>
            {c.changes.map((h) => (
              <li key={h.id}>
                <Time at={h.at} className="dim" />
                <span>
                  {t(`status.${h.from as "partial"}`)} → <b>{t(`status.${h.to as "partial"}`)}</b>
                  <span className="dim"> {visible(h.cause)}</span>
                </span>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      {asked === "attest" ? <Attest control={c} onClose={() => setAsked(undefined)} /> : null}
      {asked === "except" ? <Except control={c} onClose={() => setAsked(undefined)} /> : null}
    </>
  );
}

function Check({ k, asked }: { k: Detail["checks"][number]; asked: Detail["asked"][number] | undefined }) {
  const t = useText("compliance");
  const language = useLanguage();
  return (
    <li>
      <div className={css.line}>
        <Pill dot={resultDots[k.result]}>{t(`result.${k.result}`)}</Pill>
        <b>{k.title}</b>
        {k.excepted ? <span className={css.warn}>{t("excepted")}</span> : null}
        {k.stale ? <span className={css.warn}>{t("stale")}</span> : null}
      </div>
      {k.value !== null || k.threshold !== "" ? (
        <div className={css.measure}>
          {k.value === null ? null : (
            <b>
              {measured(k.value, k.unit, language)}
            </b>
          )}
          {k.threshold === "" ? null : (
            <span className="dim">
              {t("threshold")} {visible(k.threshold)}
            </span>
          )}
        </div>
      ) : null}
      <p>{visible(k.reason) || asked?.measures}</p>
      <div className={css.line}>
        {k.evaluatedAt ? (
          <span className="dim">
            {t("evaluated")} <Time at={k.evaluatedAt} />
          </span>
        ) : (
          <span className="dim">{t("notYet")}</span>
        )}
        {asked?.population ? <span className="dim">{t("population", { n: asked.population.size })}</span> : null}
        {k.evidenceId ? (
          <Link to={"/compliance/evidence" as "/"} search={{ open: k.evidenceId } as never}>
            {t("seeEvidence")}
          </Link>
        ) : null}
      </div>
    </li>
  );
}

/** What people have said: attestation, one that waits for review, exceptions. */
function Words({ c, may }: { c: Detail; may: boolean }) {
  const t = useText("compliance");
  const act = useAct();
  const renews = [["compliance"]];
  const pending = c.pendingAttestation;
  if (!c.attestation && !pending && c.exceptions.length === 0) return null;
  const button = (label: string, run: () => void) =>
    may ? (
      <Button size="compact-xs" variant="default" onClick={run}>
        {label}
      </Button>
    ) : null;
  return (
    <section className={css.words}>
      {pending ? (
        <div>
          <div className={css.line}>
            <Pill dot="doing">{t("waitsForReview")}</Pill> {t(`status.${pending.status}`)} · {visible(pending.by)} · <Time at={pending.at} className="dim" />
          </div>
          <p>{visible(pending.statement)}</p>
          <div className={css.line}>
            {button(t("approve"), () => void act({ call: { method: "POST", url: `/api/v1/compliance/attestations/${pending.id}/review`, body: { approve: true } }, done: t("approved"), renews }))}
            {button(t("reject"), () => void act({ call: { method: "POST", url: `/api/v1/compliance/attestations/${pending.id}/review`, body: { approve: false, note: t("rejected") } }, done: t("rejected"), renews }))}
          </div>
        </div>
      ) : null}
      {c.attestation ? (
        <div>
          <div className={css.line}>
            <Pill dot={c.attestation.expired ? "warn" : "done"}>{c.attestation.expired ? t("attestationExpired") : t("attested")}</Pill> {visible(c.attestation.by)} · <Time at={c.attestation.at} className="dim" />
            <span className="dim">
              {t("until")} <Time at={c.attestation.expiresAt} />
            </span>
          </div>
          <p>{visible(c.attestation.statement)}</p>
          {button(t("withdraw"), () =>
            void confirm({ title: t("withdraw"), text: t("withdrawWhy"), action: t("withdraw") }).then((yes) => yes && act({ call: { method: "POST", url: `/api/v1/compliance/attestations/${c.attestation!.id}/withdraw`, body: {} }, done: t("withdrawn"), renews })),
          )}
        </div>
      ) : null}
      {c.exceptions.map((e) => (
        <div key={e.id}>
          <div className={css.line}>
            <Pill dot="warn">{t("exception")}</Pill> {visible(e.owner)}
            <span className="dim">
              {t("until")} <Time at={e.endsAt} />
            </span>
          </div>
          <p>{visible(e.reason)}</p>
          {e.compensation ? <p className="dim">{visible(e.compensation)}</p> : null}
          {button(t("endException"), () => void act({ call: { method: "POST", url: `/api/v1/compliance/exceptions/${e.id}/end`, body: {} }, done: t("exceptionEnded"), renews }))}
        </div>
      ))}
    </section>
  );
}
