import { Textarea } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { queries } from "~/api/queries";
import { problemOf } from "~/api/problem";
import type { Schema } from "~/api/client";
import { Dialog } from "~/parts/Dialog";
import { Pill } from "~/parts/Pill";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import type { Detail } from "./data";
import css from "./playbooks.module.css";

type Valid = Schema<"ValidPlaybookOutBody">;

async function sendYaml<T>(method: "POST" | "PATCH", url: string, yaml: string): Promise<T> {
  const json = method === "PATCH";
  const response = await fetch(url, { method, credentials: "same-origin", headers: { "Content-Type": json ? "application/json" : "application/yaml" }, body: json ? JSON.stringify({ yaml }) : yaml });
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw problemOf(response, body, "");
  return body as T;
}

const example = `id: my-playbook
name: My playbook
description: What it does and why.
trigger:
  event: incident.created
condition: 'severity:critical'
steps:
  - id: note
    action: comment
    with:
      text: 'Seen by the playbook.'
`;

/** Writes a playbook; what is written is checked as the typing rests. A built-in one becomes a copy. */
export function Editor({ of: p, onClose }: { of?: Detail; onClose: () => void }) {
  const t = useText("playbooks");
  const forms = useText("forms");
  const parts = useText("parts");
  const navigate = useNavigate();
  const copied = p?.origin === "builtin";
  const [yaml, setYaml] = useState(p ? (copied ? p.yaml.replace(/^id: (\S+)/m, "id: $1-copy") : p.yaml) : example);
  const [valid, setValid] = useState<Valid>();
  useEffect(() => {
    let gone = false;
    const timer = setTimeout(() => {
      void sendYaml<Valid>("POST", "/api/v1/playbooks/validate", yaml)
        .then((v) => !gone && setValid(v))
        .catch(() => !gone && setValid(undefined));
    }, 400);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [yaml]);
  return (
    <Dialog
      wide
      title={p && !copied ? forms("change") : t("new")}
      action={parts("save")}
      ready={valid?.valid === true}
      onClose={onClose}
      onSubmit={async () => {
        try {
          const got = p && !copied ? await sendYaml<Detail>("PATCH", `/api/v1/playbooks/${p.id}`, yaml) : await sendYaml<Detail>("POST", "/api/v1/playbooks?status=disabled", yaml);
          toast(forms("saved"));
          void queries.invalidateQueries({ queryKey: ["playbooks"] });
          void navigate({ to: `/playbooks/${got.id}` as "/" });
          return true;
        } catch (error) {
          toastFault(parts("actFailed"), error);
          return false;
        }
      }}
    >
      <Textarea label="YAML" description={p && !copied ? t("versionWhy") : t("newWhy")} autosize minRows={16} maxRows={28} spellCheck={false} value={yaml} onChange={(e) => setYaml(e.currentTarget.value)} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12, lineHeight: "18px" } }} />
      <div role="status" className={css.problems}>
        {valid === undefined ? null : valid.valid ? (
          <span>
            <Pill dot="good">{t("valid")}</Pill> {valid.outsideSteps.length > 0 ? t("leavesSteps", { steps: valid.outsideSteps.join(", ") }) : ""}
          </span>
        ) : (
          valid.problems.map((x) => (
            <span key={`${x.line}:${x.column}:${x.message}`}>
              <b>
                {x.line}:{x.column}
              </b>{" "}
              {visible(x.message)}
            </span>
          ))
        )}
      </div>
    </Dialog>
  );
}
