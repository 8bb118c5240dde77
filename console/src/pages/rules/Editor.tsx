import { Button, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { queries } from "~/api/queries";
import { useAct } from "~/api/act";
import { useMay } from "~/api/session";
import { Pill } from "~/parts/Pill";
import { Failed, Partial } from "~/parts/States";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import { example, sendYaml, withoutIds, type Detail, type Valid } from "./data";
import css from "./rules.module.css";
import { SigmaBox } from "./SigmaBox";

/** The text of a rule; what is written is checked as the typing rests. yaml is kept by the
 *  page, so that test and backtest try what is written and not what is kept. */
export function Editor({ of: rule, yaml, onYaml }: { of?: Detail; yaml: string; onYaml: (text: string) => void }) {
  const t = useText("rules");
  const parts = useText("parts");
  const may = useMay("rules:write");
  const act = useAct();
  const navigate = useNavigate();
  const [valid, setValid] = useState<Valid>();
  const [fault, setFault] = useState<unknown>();
  const [reason, setReason] = useState("");
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      sendYaml<Valid>("/api/v1/siem/rules/validate", yaml, stop.signal)
        .then((v) => {
          setValid(v);
          setFault(undefined);
        })
        .catch((error: unknown) => !stop.signal.aborted && setFault(error));
    }, 300);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [yaml]);
  const changed = yaml !== (rule?.yaml ?? "");
  const keep = async () => {
    if (rule && !rule.builtin) {
      await act({
        call: { method: "PATCH", url: `/api/v1/siem/rules/${rule.id}`, body: { yaml, reason: reason.trim() || undefined } },
        undo: { method: "PATCH", url: `/api/v1/siem/rules/${rule.id}`, body: { yaml: rule.yaml, reason: t("takenBack") } },
        done: t("saved"),
        renews: [["rules"]],
      });
      setReason("");
      return;
    }
    try {
      const made = await sendYaml<Detail>(`/api/v1/siem/rules?status=DRAFT&reason=${encodeURIComponent(reason.trim())}`, rule ? withoutIds(yaml) : yaml);
      toast(t("created"));
      void queries.invalidateQueries({ queryKey: ["rules"] });
      void navigate({ to: `/rules/${made.id}` as "/" });
    } catch (error) {
      toastFault(parts("actFailed"), error);
    }
  };
  return (
    <section className={css.editor} aria-label={t("tab.text")}>
      <SigmaBox label={t("text")} describedBy="rule-says" value={yaml} readOnly={!may} marks={valid?.problems ?? []} onChange={onYaml} />
      <div id="rule-says" role="status" className={css.says}>
        {fault ? <Failed error={fault} /> : null}
        {valid?.valid ? (
          <>
            <Pill dot="good">{t("valid")}</Pill>
            {valid.rules.map((r) => (
              <span key={r.id || r.name} className="dim">
                {visible(r.logSource)} {r.mitreTechniques.join(", ")}
              </span>
            ))}
          </>
        ) : null}
        {valid?.problems.map((x) => (
          <span key={`${x.line}:${x.column}:${x.message}`}>
            <b className="mono">
              {x.line}:{x.column}
            </b>{" "}
            {visible(x.message)}
          </span>
        ))}
      </div>
      {valid?.blind ? <Partial>{visible(valid.blind)}</Partial> : null}
      {may ? (
        <div className={css.keep}>
          <TextInput aria-label={t("reason")} placeholder={t("reason")} value={reason} maxLength={500} onChange={(e) => setReason(e.currentTarget.value)} />
          <Button size="xs" disabled={(!changed && rule?.builtin !== true) || valid?.valid !== true} onClick={() => void keep()}>
            {rule === undefined ? t("createDraft") : rule.builtin ? t("copyDraft") : parts("save")}
          </Button>
          {changed ? (
            <Button size="xs" variant="subtle" color="gray" onClick={() => onYaml(rule?.yaml ?? example)}>
              {t("discard")}
            </Button>
          ) : null}
          <span className="dim">{rule?.builtin ? t("builtinWhy") : t("tabWhy")}</span>
        </div>
      ) : null}
    </section>
  );
}
