import { Button, MultiSelect, NumberInput, Select, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { useMay } from "~/api/session";
import { Failed, Loading } from "~/parts/States";
import { Top } from "~/parts/Top";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { useFrameworks } from "../compliance/data";
import css from "./settings.module.css";

type Settings = Schema<"ComplianceSettingsBody">;
type OfFramework = Schema<"FrameworkSettings">;

/** SOC 2 alone is assessed by categories that the tenant chooses. */
const categories = ["security", "availability", "confidentiality", "processingIntegrity", "privacy"] as const;

/** How controls are judged: in general, and by framework. */
export default function Compliance() {
  const t = useText("plan");
  const q = useQuery({ queryKey: ["compliance", "settings"], queryFn: ({ signal }) => answer(client.GET("/api/v1/compliance/settings", { signal })) });
  if (q.isPending) return <Loading rows={6} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return (
    <>
      <Top why={t("judgeWhy")} />
      <Form key={q.data.version} now={q.data} />
    </>
  );
}

function Form({ now }: { now: Settings }) {
  const t = useText("plan");
  const parts = useText("parts");
  const act = useAct();
  const may = useMay("compliance:write");
  const [weight, setWeight] = useState(now.partialWeight);
  const [strict, setStrict] = useState(now.strict);
  const [review, setReview] = useState(now.reviewRequired);
  const [months, setMonths] = useState(now.attestationMonths);
  const [of, setOf] = useState<Record<string, OfFramework>>(now.frameworks);
  const frameworks = useFrameworks(undefined);
  const set = (id: string, change: Partial<OfFramework>) => {
    const next = { ...of[id], ...change };
    for (const k of Object.keys(next) as (keyof OfFramework)[]) if (next[k] === undefined || next[k] === 0 || next[k] === "") delete next[k];
    setOf({ ...of, [id]: next });
  };
  const url = "/api/v1/compliance/settings";
  const bodyOf = (s: Pick<Settings, "partialWeight" | "strict" | "reviewRequired" | "attestationMonths" | "frameworks">) => ({ partialWeight: s.partialWeight, strict: s.strict, reviewRequired: s.reviewRequired, attestationMonths: s.attestationMonths, frameworks: s.frameworks });
  const body = bodyOf({ partialWeight: weight, strict, reviewRequired: review, attestationMonths: months, frameworks: of });
  const before = bodyOf({ ...now, frameworks: { ...Object.fromEntries(Object.keys(of).map((id) => [id, {}])), ...now.frameworks } });
  return (
    <div className={css.scroll}>
      <section className={css.part}>
        <NumberInput label={t("partialWeight")} description={t("partialWeightWhy")} disabled={!may} min={0} max={1} step={0.05} decimalScale={2} value={weight} onChange={(v) => setWeight(Number(v))} maw={320} />
        <Switch label={t("strict")} description={t("strictWhy")} disabled={!may} checked={strict} onChange={(e) => setStrict(e.currentTarget.checked)} />
        <Switch label={t("review")} description={t("reviewWhy")} disabled={!may} checked={review} onChange={(e) => setReview(e.currentTarget.checked)} />
        <NumberInput label={t("months")} description={t("monthsWhy")} disabled={!may} min={1} max={60} allowDecimal={false} value={months} onChange={(v) => setMonths(Number(v))} maw={320} />
      </section>
      <section className={css.part}>
        <h2>{t("byFramework")}</h2>
        {frameworks.isPending ? <Loading rows={3} /> : null}
        {frameworks.error ? <Failed error={frameworks.error} retry={() => void frameworks.refetch()} /> : null}
        {(frameworks.data ?? []).map((f) => {
          const own = of[f.id] ?? {};
          return (
            <fieldset key={f.id} className={css.framework}>
              <legend>{f.name}</legend>
              <Select label={t("profile")} disabled={!may} value={own.profile ?? "standard"} onChange={(v) => set(f.id, { profile: v === "standard" ? undefined : (v as "core") } as Partial<OfFramework>)} data={[{ value: "standard", label: t("standard") }, { value: "core", label: t("profile.core") }, { value: "full", label: t("profile.full") }]} />
              <NumberInput label={t("monthsOwn")} disabled={!may} min={0} max={60} allowDecimal={false} value={own.attestationMonths ?? 0} onChange={(v) => set(f.id, { attestationMonths: Number(v) || 0 })} />
              {/soc/i.test(f.id) ? <MultiSelect className={css.whole} label={t("categories")} disabled={!may} placeholder={own.categories?.length ? "" : t("allCategories")} value={own.categories ?? []} onChange={(v) => set(f.id, { categories: v })} data={[...categories]} /> : null}
            </fieldset>
          );
        })}
      </section>
      <section className={css.part}>
        {now.updatedAt ? (
          <p className="dim">
            {t("lastChange")}: <Time at={now.updatedAt} /> · {visible(now.updatedBy ?? "")}
          </p>
        ) : null}
        <div className={css.buttons}>
          <Button size="xs" disabled={!may || JSON.stringify(body) === JSON.stringify(bodyOf(now))} onClick={() => void act({ call: { method: "PATCH", url, body }, undo: { method: "PATCH", url, body: before }, done: t("judged"), renews: [["compliance"], ["overview"]] })}>
            {parts("save")}
          </Button>
        </div>
      </section>
    </div>
  );
}
