import { useParams } from "@tanstack/react-router";

import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";

import { ActionBar, useAsked } from "./ActionBar";
import { AlertContent } from "./AlertContent";
import css from "./alerts.module.css";
import { useAlert } from "./data";

/** The same alert as a page: where links in webhooks and notifications lead. */
export default function AlertPage() {
  const t = useText("alerts");
  const { id } = useParams({ strict: false }) as { id: string };
  const { data } = useAlert(id);
  const asked = useAsked();
  const row = data ? { ...data, triage: { ...data, ruleId: data.rule.id, ruleName: data.rule.name } } : undefined;
  return (
    <>
      <PageHead title={data?.title ?? t("title")} />
      {row ? <ActionBar rows={[row]} count={0} asked={asked} onDone={() => {}} onClear={() => {}} /> : null}
      <div className={css.pageContent}>
        <AlertContent id={id} wide />
      </div>
      {asked.dialog}
    </>
  );
}
