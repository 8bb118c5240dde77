import { Button, FileButton } from "@mantine/core";
import { IconPaperclip } from "@tabler/icons-react";
import { useState } from "react";

import { queries } from "~/api/queries";
import { sendFile } from "~/api/send";
import { useMay } from "~/api/session";
import { Raw } from "~/parts/Raw";
import { toast, toastFault } from "~/parts/Toasts";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";

import type { Incident } from "./data";
import css from "./incidents.module.css";

/** Files of the case, kept under their hash. */
export function Evidence({ incident }: { incident: Incident }) {
  const t = useText("incidents");
  const language = useLanguage();
  const may = useMay("incidents:write");
  const [busy, setBusy] = useState(false);
  const base = `/api/v1/incidents/${incident.id}/evidence`;
  async function upload(file: File | null) {
    if (file === null) return;
    setBusy(true);
    const url = `${base}?name=${encodeURIComponent(file.name)}`;
    try {
      await sendFile(url, file, "application/octet-stream");
      toast(t("evidenceAdded", { name: file.name }));
      void queries.invalidateQueries({ queryKey: ["incidents", "one", incident.id] });
    } catch (error) {
      toastFault(t("evidenceFailed"), error);
    } finally {
      setBusy(false);
    }
  }
  const size = (n: number) => new Intl.NumberFormat(language, { style: "unit", unit: n < 1e6 ? "kilobyte" : "megabyte", maximumFractionDigits: 1 }).format(n < 1e6 ? n / 1e3 : n / 1e6);
  return (
    <section>
      <h2>
        {t("evidence")} <span className="dim">{incident.evidence.length || ""}</span>
      </h2>
      <ul className={css.plain}>
        {incident.evidence.map((e) => (
          <li key={e.id} className={css.evidence}>
            <a href={`${base}/${e.id}`} download>
              <Raw text={e.name} />
            </a>
            <span className="dim">
              {size(e.size)} · <Time at={e.addedAt} /> · <Raw text={e.addedBy} />
            </span>
            <span className={css.hash} title={e.sha256}>
              SHA-256 {e.sha256.slice(0, 16)}…
            </span>
          </li>
        ))}
      </ul>
      {may ? (
        <FileButton onChange={(f) => void upload(f)}>
          {(props) => (
            <Button {...props} size="compact-xs" variant="subtle" loading={busy} leftSection={<IconPaperclip size={14} aria-hidden />}>
              {t("addEvidence")}
            </Button>
          )}
        </FileButton>
      ) : null}
    </section>
  );
}
